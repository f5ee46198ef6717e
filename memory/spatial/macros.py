"""What one has learnt to do: sequences of calls that worked, each kept once."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from time import time
from typing import Any, Literal

from memory import provenance
from memory.errors import InvalidItemError, UnknownItemError
from memory.provenance import Provenance, origin_of
from memory.spatial import mining
from memory.spatial.matching import Variable, matches, variables_of
from memory.spatial.program import Moment, Step, Trajectory, fill
from memory.spatial.scoring import Head, Outcome, decayed_success
from memory.store import Store

Status = Literal["candidate", "accepted", "rejected"]
STATUSES: tuple[Status, ...] = ("candidate", "accepted", "rejected")

ACCEPT_MIN = 0.95
"""Least share of fresh instances in which a macro must work to be accepted."""

ACCEPT_TRIALS = 20
"""Least count of them."""

SUGGEST_MIN = 0.5
"""Least expected success of a macro that is suggested."""

MAX_OUTCOMES = 64


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
        variables: What has to be filled in, with the values that each took.
        triggers: Pieces of missions that ask for it, with how often.
        preconditions: Facts that must hold before.
        effects: Facts that hold after it and did not before.
        status: ``candidate`` until it was tried, then ``accepted`` or ``rejected``.
        outcomes: What came of running it, oldest first, the newest 64.
    """

    id: int
    signature: str
    name: str
    steps: tuple[Step, ...]
    strength: int
    provenance: tuple[Provenance, ...]
    variables: tuple[Variable, ...] = ()
    triggers: Mapping[str, int] = field(default_factory=dict)
    preconditions: tuple[str, ...] = ()
    effects: tuple[str, ...] = ()
    status: Status = "candidate"
    outcomes: tuple[Outcome, ...] = ()

    @property
    def success_prob(self) -> float:
        """Expected success, later outcomes counting more, in (0, 1)."""
        return decayed_success([outcome.ok for outcome in self.outcomes])

    def call(self, values: Mapping[str, str]) -> str:
        """The macro with its values, as ``run_macro`` takes it: ``"go_to(red ball)"``."""
        return f"{self.name}({', '.join(values[v.name] for v in self.asked)})"

    @property
    def asked(self) -> list[Variable]:
        """The variables that have to be given; the others are seen on the way."""
        return [variable for variable in self.variables if not variable.shown]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A macro that fits what is to be done now.

    Attributes:
        macro: The macro.
        values: Value of each variable.
        score: Expected success in [0, 1].
    """

    macro: Macro
    values: Mapping[str, str]
    score: float

    @property
    def call(self) -> str:
        """What ``run_macro`` takes."""
        return self.macro.call(self.values)


class MacroLib:
    """Macros in SQLite; adding the same steps again strengthens the one there is.

    Args:
        store: The database.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._cache: tuple[tuple[int, int], int, list[Macro]] | None = None
        self._writes = 0
        self._head: tuple[int, Head] | None = None

    def __len__(self) -> int:
        """Count of macros."""
        with self.store.lock:
            return int(self.store.db.execute("SELECT count(*) FROM macros").fetchone()[0])

    def add(
        self,
        trajectory: Trajectory | Iterable[Step | tuple[str, Mapping[str, Any]]],
        *,
        name: str = "",
        origin: Provenance | str | None = None,
    ) -> str:
        """Keep a sequence of calls that worked; returns its signature.

        Args:
            trajectory: The calls, as steps or as ``(tool, arguments)``; or a whole episode, whose routes
                are folded and whose values from the mission become variables.
            name: What to call it; made from the first and the last call by default.
            origin: The episode it was seen in.

        Raises:
            InvalidItemError: No steps, arguments that are not JSON, or an episode without success.
        """
        if isinstance(trajectory, Trajectory):
            return self._add_episode(trajectory, name, origin)
        steps = [step if isinstance(step, Step) else _step(step) for step in trajectory]
        return self._write(steps, name or _spoken(steps), origin)[0]

    def _add_episode(self, trajectory: Trajectory, name: str, origin: Provenance | str | None) -> str:
        mining.check(trajectory)
        if not trajectory.success:
            raise InvalidItemError(
                "an episode without success teaches no macro; its outcome can be kept with outcome()"
            )
        found = mining.whole(trajectory)
        return self._keep(found, name or _named(found), origin or trajectory.origin)

    def mine(self, trajectories: Iterable[Trajectory], max_macros: int = 16) -> list[Macro]:
        """Find sub-sequences that repeat over successful episodes and keep them as candidates.

        Args:
            trajectories: Episodes; those without success are left out.
            max_macros: How many to find at most.

        Returns:
            The macros, the one that saves most first. One that is known already is strengthened.

        Raises:
            InvalidItemError: A malformed trajectory; nothing is kept.
        """
        episodes = list(trajectories)
        found = mining.mine(episodes, max_macros)
        kept: list[Macro] = []
        with self.store.write():
            taken = {macro.name for macro in self.all()}
            for one in found:
                steps = tuple(step.rename(lambda text: _linked(text, kept)) for step in one.steps)
                origins = list(dict.fromkeys(origin_of(episodes[number].origin) for number in one.episodes))
                name = _unused(_named(one), taken)
                signature = self._keep(replace(one, steps=steps), name, origins[0])
                kept.append(self.get(signature))
                taken.add(kept[-1].name)
                for origin in origins[1:]:
                    provenance.add(self.store.db, ("macros", kept[-1].id), origin, {"name": kept[-1].name})
                self.store.db.execute(
                    "UPDATE macros SET strength = strength + ? WHERE id = ?", (len(origins) - 1, kept[-1].id)
                )
            self._writes += 1
        return [self.get(macro.signature) for macro in kept]

    def _keep(self, found: mining.Mined, name: str, origin: Provenance | str | None) -> str:
        signature, fresh = self._write(found.steps, name, origin)
        values = {
            "triggers": json.dumps(dict(found.triggers)),
            "preconditions": json.dumps(found.preconditions),
            "effects": json.dumps(found.effects),
            "variables": json.dumps([asdict(v) for v in variables_of(found.variables, found.values, found.shown)]),
        }
        if not fresh:
            known = self.get(signature)
            more = {key: known.triggers.get(key, 0) + n for key, n in found.triggers.items()}
            values["triggers"] = json.dumps({**known.triggers, **more})
            values["variables"] = json.dumps(
                [asdict(v) for v in variables_of(found.variables, found.values, found.shown, known.variables)]
            )
        with self.store.write() as db:
            pairs = ", ".join(f"{column} = ?" for column in values)
            db.execute(f"UPDATE macros SET {pairs} WHERE signature = ?", (*values.values(), signature))
            self._writes += 1
        return signature

    def _write(self, steps: Sequence[Step], name: str, origin: Provenance | str | None) -> tuple[str, bool]:
        """Write or strengthen one macro; returns its signature and whether it is new."""
        if not steps or not all(step.name for step in steps):
            raise InvalidItemError("a macro needs at least one step, and every step a tool's name")
        try:
            body = json.dumps([step.json() for step in steps], sort_keys=True)
        except (TypeError, ValueError) as error:
            raise InvalidItemError(f"a macro's arguments must be JSON: {error}") from error
        plain = json.dumps([step.json()[:2] for step in steps], sort_keys=True)
        signature = hashlib.sha256(plain.encode()).hexdigest()[:16]
        with self.store.write() as db:
            found = db.execute("SELECT id FROM macros WHERE signature = ?", (signature,)).fetchone()
            if found:
                db.execute("UPDATE macros SET strength = strength + 1 WHERE id = ?", found)
                macro = int(found[0])
            else:
                cursor = db.execute(
                    "INSERT INTO macros(signature, name, steps) VALUES (?, ?, ?)", (signature, name, body)
                )
                macro = int(cursor.lastrowid or 0)
            provenance.add(db, ("macros", macro), origin_of(origin), {"name": name}, fresh=not found)
            self._writes += 1
        return signature, not found

    def get(self, signature: str) -> Macro:
        """One macro by signature or name.

        Raises:
            UnknownItemError: There is none.
        """
        with self.store.lock:
            row = self.store.db.execute(
                f"SELECT {_COLUMNS} FROM macros WHERE signature = ? OR name = ? ORDER BY signature = ? DESC, id",
                (signature,) * 3,
            ).fetchone()
            if row is None:
                names = ", ".join(macro.name for macro in self.all()[:8]) or "none"
                raise UnknownItemError(f"no macro has the signature or name {signature!r}; there are: {names}")
            return self._made(row)

    def _made(self, row: Sequence[Any]) -> Macro:
        number, signature, name, steps, strength, variables, triggers, needed, effects, status, outcomes = row
        return Macro(
            number, signature, name,
            tuple(Step.parse(step) for step in json.loads(steps)),
            strength,
            provenance.of(self.store.db, "macros", number),
            tuple(Variable(**one) for one in json.loads(variables)),
            json.loads(triggers),
            tuple(json.loads(needed)),
            tuple(json.loads(effects)),
            status,
            tuple(Outcome.parse(one) for one in json.loads(outcomes)),
        )  # fmt: skip

    def all(self, status: Status | None = None) -> list[Macro]:
        """Every macro, the strongest first; those of one status if asked for."""
        with self.store.lock:
            stamp = self.store.stamp
            if self._cache is None or self._cache[:2] != (stamp, self._writes) or self.store.in_transaction:
                rows = self.store.db.execute(f"SELECT {_COLUMNS} FROM macros ORDER BY strength DESC, id").fetchall()
                self._cache = (stamp, self._writes, [self._made(row) for row in rows])
            return [macro for macro in self._cache[2] if status in (None, macro.status)]

    def suggest(self, mission: str, moment: Moment, topk: int = 3) -> list[Suggestion]:
        """Accepted macros that the mission asks for and whose preconditions hold, the likeliest first.

        What failed lately is not suggested.

        Args:
            mission: What is to be done.
            moment: What is known now.
            topk: How many at most.
        """
        words = mining.mission_words(mission)
        found: dict[str, Suggestion] = {}
        for macro in self.all("accepted"):
            for values in matches(macro.triggers, macro.variables, words):
                if not all(moment.holds(fact, values) for fact in macro.preconditions):
                    continue
                if macro.effects and all(moment.holds(fact, values) for fact in macro.effects):
                    continue
                score = self.head.score(macro.outcomes, situation(moment, values))
                if score >= SUGGEST_MIN:
                    one = Suggestion(macro, values, score)
                    found.setdefault(one.call, one)
        # What does most at once first, among those that are likely to work.
        return sorted(found.values(), key=lambda s: (-round(s.score, 1), -_covered(s), -s.score, s.call))[:topk]

    @property
    def head(self) -> Head:
        """What expects success: the decayed frequency, or the learnt head where that was shown to be better."""
        if self._head is None or self._head[0] != self._writes:
            self._head = (self._writes, Head.fit([macro.outcomes for macro in self.all()]))
        return self._head[1]

    def parse(self, call: str) -> tuple[Macro, dict[str, str]]:
        """Read ``"go_to(red ball)"``.

        Raises:
            InvalidItemError: Another form, or another count of values.
            UnknownItemError: There is no such macro.
        """
        found = re.fullmatch(r"\s*([\w-]+)\s*(?:\((.*)\))?\s*", call)
        if found is None:
            raise InvalidItemError(f"a macro is run as name(value, ...), got {call!r}")
        macro = self.get(found[1])
        values = [part.strip() for part in (found[2] or "").split(",") if part.strip()]
        if len(values) != len(macro.asked):
            raise InvalidItemError(f"{macro.name} takes {len(macro.asked)} values, got {len(values)}: {call!r}")
        return macro, dict(zip((v.name for v in macro.asked), values, strict=True))

    def copy_from(self, other: "MacroLib") -> None:
        """Take over every macro of another library that is not here, as it is there, without origins of its own."""
        with self.store.write() as db, other.store.lock:
            columns = f"signature, name, steps, {_COLUMNS.partition('steps, ')[2]}"
            for row in other.store.db.execute(f"SELECT {columns} FROM macros ORDER BY id").fetchall():
                if db.execute("SELECT 1 FROM macros WHERE signature = ?", row[:1]).fetchone() is None:
                    marks = ", ".join("?" * len(row))
                    cursor = db.execute(f"INSERT INTO macros({columns}) VALUES ({marks})", row)
                    provenance.add(db, ("macros", int(cursor.lastrowid or 0)), origin_of("copy"), fresh=True)
            self._writes += 1

    def outcome(
        self,
        signature: str,
        ok: bool,
        moment: Moment,
        values: Mapping[str, str],
        where: str = "",
        at: float | None = None,
    ) -> Macro:
        """Keep what came of running a macro.

        Args:
            signature: Which.
            ok: Whether it did what was expected of it to the end.
            moment: What was known when it began.
            values: Of its variables.
            where: Where and why it stopped.
            at: Seconds since the epoch; now by default.

        Raises:
            UnknownItemError: There is no such macro.
        """
        when = time() if at is None else at
        return self.note(signature, [Outcome(bool(ok), when, tuple(sorted(situation(moment, values))), where)])

    def note(self, signature: str, outcomes: Sequence[Outcome]) -> Macro:
        """Keep several outcomes, oldest first.

        Raises:
            UnknownItemError: There is no such macro.
        """
        with self.store.write() as db:
            macro = self.get(signature)
            kept = [outcome.json() for outcome in [*macro.outcomes, *outcomes][-MAX_OUTCOMES:]]
            db.execute("UPDATE macros SET outcomes = ? WHERE id = ?", (json.dumps(kept), macro.id))
            self._writes += 1
        return self.get(signature)

    def judge(self, signature: str, passes: int, trials: int) -> Macro:
        """Accept or reject a macro after it was run in fresh instances.

        Args:
            signature: Which.
            passes: In how many it did what was expected.
            trials: In how many it was run.

        Raises:
            InvalidItemError: Fewer than 20 trials, or more passes than trials.
            UnknownItemError: There is no such macro.
        """
        if trials < ACCEPT_TRIALS or not 0 <= passes <= trials:
            raise InvalidItemError(
                f"judge needs at least {ACCEPT_TRIALS} trials and passes among them, got {passes}/{trials}"
            )
        status: Status = "accepted" if passes >= ACCEPT_MIN * trials else "rejected"
        with self.store.write() as db:
            macro = self.get(signature)
            db.execute("UPDATE macros SET status = ? WHERE id = ?", (status, macro.id))
            self._writes += 1
        return self.get(signature)


_COLUMNS = "id, signature, name, steps, strength, variables, triggers, preconditions, effects, status, outcomes"


def situation(moment: Moment, values: Mapping[str, str]) -> frozenset[str]:
    """What a run began with, for likening it to other runs: facts, and the words of the values."""
    words = {f"{name} {word}" for name, value in values.items() for word in value.split()}
    return moment.facts(values) | words


def _covered(suggestion: Suggestion) -> int:
    return len(suggestion.macro.steps) + 4 * len(suggestion.macro.variables)


def _step(step: object) -> Step:
    if not isinstance(step, (tuple, list)) or len(step) != 2 or not isinstance(step[1], Mapping):
        raise InvalidItemError(f"a step must be a Step or (tool, arguments), got {step!r}")
    return Step(str(step[0]), step[1])


def _spoken(steps: Sequence[Step]) -> str:
    return f"{steps[0].name} to {steps[-1].name}" if steps else ""


def _named(found: mining.Mined) -> str:
    """A name made of the words of the commonest trigger, or of the steps."""
    piece = max(found.triggers, key=lambda text: (found.triggers[text], text), default="")
    words = [
        w for w in re.findall(r"[a-z]+", re.sub(r"\$\d+", " ", piece.lower())) if w not in ("the", "a", "an", "and")
    ]
    return "_".join(words[:4]) or "_".join(dict.fromkeys(step.name for step in found.steps))[:24]


def _unused(name: str, taken: set[str]) -> str:
    return (
        name
        if name not in taken
        else next(f"{name}_{n}" for n in range(2, len(taken) + 3) if f"{name}_{n}" not in taken)
    )


def _linked(text: str, kept: Sequence[Macro]) -> str:
    """Put a macro's name where mining wrote its number."""
    return re.sub(r"^@(\d+)\(", lambda found: f"{kept[int(found[1])].name}(", text)


__all__ = ["ACCEPT_MIN", "ACCEPT_TRIALS", "Macro", "MacroLib", "Status", "Step", "Suggestion", "fill"]
