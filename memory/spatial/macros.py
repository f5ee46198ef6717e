"""What one has learnt to do: sequences of calls that worked, each kept once."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from memory import provenance
from memory.errors import InvalidItemError, UnknownItemError
from memory.provenance import Provenance, origin_of
from memory.store import Store


@dataclass(frozen=True, slots=True)
class Step:
    """One call: a tool's name and its arguments."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Macro:
    """One sequence of calls.

    Attributes:
        id: Row in ``macros``.
        signature: SHA-256 of the steps, shortened; the same steps have the same.
        name: What it is called.
        steps: The calls, in order.
        strength: How many trajectories it was added from.
        provenance: Origins, oldest first.
    """

    id: int
    signature: str
    name: str
    steps: tuple[Step, ...]
    strength: int
    provenance: tuple[Provenance, ...]


class MacroLib:
    """Macros in SQLite; adding the same steps again strengthens the one there is.

    Args:
        store: The database.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def __len__(self) -> int:
        """Count of macros."""
        with self.store.lock:
            return int(self.store.db.execute("SELECT count(*) FROM macros").fetchone()[0])

    def add(
        self,
        trajectory: Iterable[Step | tuple[str, Mapping[str, Any]]],
        *,
        name: str = "",
        origin: Provenance | str | None = None,
    ) -> str:
        """Keep a sequence of calls that worked; returns its signature.

        Args:
            trajectory: The calls, as steps or as ``(tool, arguments)``.
            name: What to call it; made from the first and the last call by default.
            origin: The episode it was seen in.

        Raises:
            InvalidItemError: No steps, or arguments that are not JSON.
        """
        steps = [step if isinstance(step, Step) else Step(*step) for step in trajectory]
        if not steps or not all(step.name for step in steps):
            raise InvalidItemError("a macro needs at least one step, and every step a tool's name")
        try:
            body = json.dumps([[step.name, dict(step.arguments)] for step in steps], sort_keys=True)
        except (TypeError, ValueError) as error:
            raise InvalidItemError(f"a macro's arguments must be JSON: {error}") from error
        signature = hashlib.sha256(body.encode()).hexdigest()[:16]
        with self.store.write() as db:
            found = db.execute("SELECT id FROM macros WHERE signature = ?", (signature,)).fetchone()
            if found:
                db.execute("UPDATE macros SET strength = strength + 1 WHERE id = ?", found)
                macro = int(found[0])
            else:
                cursor = db.execute(
                    "INSERT INTO macros(signature, name, steps) VALUES (?, ?, ?)",
                    (signature, name or f"{steps[0].name} to {steps[-1].name}", body),
                )
                macro = int(cursor.lastrowid or 0)
            said = {"name": name or f"{steps[0].name} to {steps[-1].name}"}
            provenance.add(db, ("macros", macro), origin_of(origin), said, fresh=not found)
        return signature

    def get(self, signature: str) -> Macro:
        """One macro.

        Raises:
            UnknownItemError: There is none of that signature.
        """
        with self.store.lock:
            row = self.store.db.execute(
                "SELECT id, signature, name, steps, strength FROM macros WHERE signature = ?", (signature,)
            ).fetchone()
            if row is None:
                raise UnknownItemError(f"no macro has the signature {signature!r}; there are {len(self)} macros")
            steps = tuple(Step(name, arguments) for name, arguments in json.loads(row[3]))
            return Macro(row[0], row[1], row[2], steps, row[4], provenance.of(self.store.db, "macros", row[0]))

    def all(self) -> list[Macro]:
        """Every macro, the strongest first."""
        with self.store.lock:
            found = self.store.db.execute("SELECT signature FROM macros ORDER BY strength DESC, id").fetchall()
            return [self.get(row[0]) for row in found]
