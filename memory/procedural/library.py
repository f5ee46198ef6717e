"""Library of macros: sequences of calls that worked, each stored once."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from time import time
from typing import Any

from memory import provenance, rows
from memory.errors import InvalidItemError, UnknownItemError
from memory.procedural import mining
from memory.procedural.macro import (
    Macro,
    Status,
    Suggestion,
    covered,
    lesson,
    linked,
    name_of,
    situation,
    slug,
    spoken,
    step_of,
    unused,
)
from memory.procedural.matching import Variable, matches, variables_of
from memory.procedural.program import (
    VARIABLE,
    Step,
    SymbolicState,
    Trajectory,
)
from memory.procedural.scoring import Head, Outcome
from memory.provenance import Provenance, origin_of
from memory.store import Store

ACCEPT_MIN = 0.97
"""Least share of trials in fresh instances that must succeed for a macro to be accepted."""

ACCEPT_TRIALS = 20
"""Least count of trials in fresh instances."""

SUGGEST_MIN = 0.5
"""Least expected success in [0, 1] of a macro that is suggested."""

MAX_OUTCOMES = 64

MAX_WORDS = 4
"""Greatest number of words of the value of a variable in a macro that was written by hand."""


class MacroLib:
    """Library of macros in SQLite; adding the same steps again strengthens the existing macro.

    Args:
        store: The database.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._cache: tuple[tuple[int, int], int, list[Macro]] | None = None
        self._writes = 0
        self._head: tuple[tuple[tuple[int, int], int], Head] | None = None

    def __len__(self) -> int:
        """Return the count of macros."""
        with self.store.lock:
            return int(self.store.db.execute("SELECT count(*) FROM macros").fetchone()[0])

    def add(
        self,
        trajectory: Trajectory | Iterable[Step | tuple[str, Mapping[str, Any]] | Mapping[str, Any]],
        *,
        name: str = "",
        triggers: Iterable[str] = (),
        origin: Provenance | str | None = None,
    ) -> str:
        """Store a sequence of calls that worked, as a macro, and return its signature.

        Args:
            trajectory: The calls, as steps, as ``(tool, arguments)`` or as ``{"name": tool, "arguments": {...}}``; or a
                whole episode, whose routes are folded and whose values from the mission become variables.
            name: Name of the macro; made from the first and the last call by default. Characters that a name
                can't have become underscores.
            triggers: For steps with variables such as ``$1``: pieces of missions that ask for the macro, for
                example ``"fetch the $1"``.
            origin: The episode in which the calls were made.

        Raises:
            InvalidItemError: No steps, arguments that are not JSON, or an episode without success.
        """
        if isinstance(trajectory, Trajectory):
            return self._add_episode(trajectory, name, origin)
        if isinstance(triggers, str):
            raise InvalidItemError(f"triggers must be a list of texts, got the text {triggers!r}")
        steps = [step if isinstance(step, Step) else step_of(step) for step in trajectory]
        with self.store.write() as db:
            macro, fresh = self._write(steps, name or spoken(steps))
            contribution = {"name": macro.name if fresh or not name else slug(name)}
            if fresh:
                marks = dict.fromkeys(VARIABLE.findall(json.dumps([step.json() for step in steps])))
                typed = [asdict(Variable(mark, [], MAX_WORDS)) for mark in marks]
                asked = dict.fromkeys(triggers, 1)
                rows.update(db, ("macros", macro.id), {"variables": json.dumps(typed), "triggers": json.dumps(asked)})
            provenance.add(db, ("macros", macro.id), origin_of(origin), contribution)
            rows.apply_contributions(db, ("macros", macro.id), [contribution], 1)
            self._writes += 1
        return macro.signature

    def _add_episode(self, trajectory: Trajectory, name: str, origin: Provenance | str | None) -> str:
        mining.check(trajectory)
        if not trajectory.success:
            raise InvalidItemError(
                "an episode without success teaches no macro; its outcome can be kept with outcome()"
            )
        mined = mining.whole(trajectory)
        contribution = lesson(mined, mined.pieces)
        return self._keep(mined, name, [(origin_of(origin or trajectory.origin), contribution)]).signature

    def mine(self, trajectories: Iterable[Trajectory], max_macros: int = 16) -> list[Macro]:
        """Find sub-sequences that repeat over successful episodes and store them as candidates.

        Args:
            trajectories: Episodes; those without success are left out.
            max_macros: Greatest number of macros to find.

        Returns:
            The macros; the one that saves most calls is first. Episodes in which a known macro was not seen
            before strengthen it. The status of a macro does not change.

        Raises:
            InvalidItemError: A malformed trajectory; nothing is stored.
        """
        if not isinstance(trajectories, Iterable):
            raise InvalidItemError(f"mine takes trajectories, got {type(trajectories).__name__}")
        episodes = list(trajectories)
        candidates = mining.mine(episodes, max_macros)
        kept: list[Macro] = []
        with self.store.write():
            for mined in candidates:
                steps = tuple(step.rename(lambda text: linked(text, kept)) for step in mined.steps)
                by_episode: dict[int, list[tuple[int, str]]] = {}
                for piece in mined.pieces:
                    by_episode.setdefault(piece[0], []).append(piece)
                origins = [(origin_of(episodes[n].origin), lesson(mined, pieces)) for n, pieces in by_episode.items()]
                kept.append(self._keep(replace(mined, steps=steps), "", origins, again=False))
        return [self.get(macro.signature) for macro in kept]

    def _keep(
        self, mined: mining.Mined, name: str, origins: Sequence[tuple[Provenance, dict[str, Any]]], again: bool = True
    ) -> Macro:
        """Write a mined macro or strengthen the known one; ``again`` also counts origins that are attached already."""
        with self.store.write() as db:
            macro, fresh = self._write(mined.steps, name or name_of(mined))
            row = ("macros", macro.id)
            if fresh:
                typed = [asdict(v) for v in variables_of(mined.variables, mined.values, mined.shown)]
                rows.update(
                    db,
                    row,
                    {
                        "preconditions": json.dumps(mined.preconditions),
                        "effects": json.dumps(mined.effects),
                        "variables": json.dumps(typed),
                    },
                )
            before = {(origin.source, origin.doc_id) for origin in macro.provenance}
            new = [(o, contribution) for o, contribution in origins if again or (o.source, o.doc_id) not in before]
            for origin, contribution in new:
                provenance.add(db, row, origin, {"name": macro.name, **contribution})
            rows.apply_contributions(db, row, [contribution for _, contribution in new], 1)
            self._writes += 1
        return self.get(macro.signature)

    def _write(self, steps: Sequence[Step], name: str) -> tuple[Macro, bool]:
        """Write a macro unless one has these steps; return it and whether it is new. The caller adds its origins."""
        if not steps or not all(step.name for step in steps):
            raise InvalidItemError("a macro needs at least one step, and every step a tool's name")
        try:
            body = json.dumps([step.json() for step in steps], sort_keys=True)
            # The signature covers what the steps do; their "until" and "expect" facts may be learnt again.
            done = [[*step.json()[:2], *([True] if step.follow else [])] for step in steps]
            signature = hashlib.sha256(json.dumps(done, sort_keys=True).encode()).hexdigest()[:16]
        except (TypeError, ValueError) as error:
            raise InvalidItemError(f"a macro's arguments must be JSON: {error}") from error
        with self.store.write() as db:
            if db.execute("SELECT 1 FROM macros WHERE signature = ?", (signature,)).fetchone():
                return self.get(signature), False
            taken = {row[0] for row in db.execute("SELECT name FROM macros").fetchall()}
            db.execute(
                "INSERT INTO macros(signature, name, steps, strength) VALUES (?, ?, ?, 0)",
                (signature, unused(slug(name), taken), body),
            )
            self._writes += 1
            return self.get(signature), True

    def get(self, signature: str) -> Macro:
        """Return one macro by signature or name.

        Raises:
            UnknownItemError: There is none.
        """
        with self.store.lock:
            row = self.store.db.execute(
                f"SELECT {_COLUMNS} FROM macros WHERE signature = ? OR name = ? ORDER BY signature = ? DESC,"
                " status = 'accepted' DESC, id",
                (signature,) * 3,
            ).fetchone()
            if row is None:
                names = ", ".join(macro.name for macro in self.all()[:8]) or "none"
                raise UnknownItemError(f"no macro has the signature or name {signature!r}; there are: {names}")
            return self._made(row)

    def _made(self, row: Sequence[Any]) -> Macro:
        number, signature, name, steps, strength, variables, triggers, needed, effects, status, outcomes = row
        return Macro(
            number,
            signature,
            name,
            tuple(Step.parse(step) for step in json.loads(steps)),
            strength,
            provenance.of(self.store.db, "macros", number),
            tuple(Variable(**entry) for entry in json.loads(variables)),
            json.loads(triggers),
            tuple(json.loads(needed)),
            tuple(json.loads(effects)),
            status,
            tuple(Outcome.parse(entry) for entry in json.loads(outcomes)),
        )

    def all(self, status: Status | None = None) -> list[Macro]:
        """Return every macro, or those of one status, the strongest first."""
        with self.store.lock:
            stamp = self.store.stamp
            if self._cache is None or self._cache[:2] != (stamp, self._writes) or self.store.in_transaction:
                rows = self.store.db.execute(f"SELECT {_COLUMNS} FROM macros ORDER BY strength DESC, id").fetchall()
                self._cache = (stamp, self._writes, [self._made(row) for row in rows])
            return [macro for macro in self._cache[2] if status in (None, macro.status)]

    def suggest(
        self, context: str | Mapping[str, Any], state: SymbolicState | None = None, topk: int = 3
    ) -> list[Suggestion]:
        """Return accepted macros that the mission asks for and whose preconditions hold, the likeliest first.

        Macros whose effects hold already, or whose expected success is low, are not suggested.

        Args:
            context: The mission to fulfil; or, in plain form, a mapping with ``mission``, ``view`` (as ``info["view"]``
                has it) and ``known`` (names of known things).
            state: What is known now; nothing by default. It is part of the plain form.
            topk: Greatest number of suggestions.

        Returns:
            Suggestions, which read as dictionaries too.

        Raises:
            InvalidItemError: A plain form without a mission.
        """
        if not isinstance(context, str):
            if not isinstance(context, Mapping) or not context.get("mission"):
                raise InvalidItemError(f"suggest needs a mission, got {context!r}: give context['mission']")
            view, known = context.get("view"), context.get("known") or ()
            if not isinstance(view, Mapping | None) or isinstance(known, str):
                raise InvalidItemError("suggest takes a mapping as view and a list of names as known")
            state = state or SymbolicState.of(view, known)
            context = str(context["mission"])
        state = state or SymbolicState()
        words = mining.mission_words(context)
        suggestions: dict[str, Suggestion] = {}
        for macro in self.all("accepted"):
            for values in matches(macro.triggers, macro.variables, words):
                if not all(state.holds(fact, values) for fact in macro.preconditions):
                    continue
                if macro.effects and all(state.holds(fact, values) for fact in macro.effects):
                    continue
                score = self.head.score(macro.outcomes, situation(state, values))
                if score >= SUGGEST_MIN:
                    suggestion = Suggestion(macro, values, score)
                    suggestions.setdefault(suggestion.call, suggestion)
        # Of macros that are about equally likely to succeed, the one that covers most comes first.
        return sorted(suggestions.values(), key=lambda s: (-round(s.score, 1), -covered(s), -s.score, s.call))[:topk]

    @property
    def head(self) -> Head:
        """Predictor of success: the learnt head if it proved better than the decayed frequency, else that."""
        state = (self.store.stamp, self._writes)
        if self._head is None or self._head[0] != state:
            self._head = (state, Head.fit([macro.outcomes for macro in self.all()]))
        return self._head[1]

    def parse(self, call: str) -> tuple[Macro, dict[str, str]]:
        """Parse a call such as ``"go_to(red ball)"`` into the macro and the value of each variable.

        Raises:
            InvalidItemError: The call has another form, or a wrong count of values.
            UnknownItemError: There is no such macro.
        """
        match = re.fullmatch(r"\s*([\w-]+)\s*(?:\((.*)\))?\s*", call)
        if match is None:
            raise InvalidItemError(f"a macro is run as name(value, ...), got {call!r}")
        macro = self.get(match[1])
        values = [part.strip() for part in (match[2] or "").split(",") if part.strip()]
        if len(values) != len(macro.asked):
            raise InvalidItemError(f"{macro.name} takes {len(macro.asked)} values, got {len(values)}: {call!r}")
        return macro, dict(zip((v.name for v in macro.asked), values, strict=True))

    def copy_from(self, other: "MacroLib") -> None:
        """Copy every macro that is not here from another library, without its origins; the new origin is ``"copy"``."""
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
        state: SymbolicState,
        values: Mapping[str, str],
        where: str = "",
        at: float | None = None,
    ) -> Macro:
        """Record the outcome of one run of a macro.

        Args:
            signature: Signature or name of the macro.
            ok: Whether every step did what was expected.
            state: What was known when the run began.
            values: Values of the macro's variables.
            where: Where and why the run stopped, if it failed.
            at: Time of the run in seconds since the epoch; now by default.

        Raises:
            UnknownItemError: There is no such macro.
        """
        when = time() if at is None else at
        return self.note(signature, [Outcome(bool(ok), when, tuple(sorted(situation(state, values))), where)])

    def note(self, signature: str, outcomes: Sequence[Outcome]) -> Macro:
        """Record several outcomes, given oldest first; the newest 64 are kept.

        Raises:
            UnknownItemError: There is no such macro.
        """
        with self.store.write() as db:
            macro = self.get(signature)
            kept = [outcome.json() for outcome in [*macro.outcomes, *outcomes][-MAX_OUTCOMES:]]
            db.execute("UPDATE macros SET outcomes = ? WHERE id = ?", (json.dumps(kept), macro.id))
            self._writes += 1
        return self.get(signature)

    def retry(self, signature: str) -> Macro:
        """Make a macro a candidate again and delete its outcomes, so that it can be tested again.

        Raises:
            UnknownItemError: There is no such macro.
        """
        with self.store.write() as db:
            macro = self.get(signature)
            db.execute("UPDATE macros SET status = 'candidate', outcomes = '[]' WHERE id = ?", (macro.id,))
            self._writes += 1
        return self.get(signature)

    def judge(self, signature: str, passes: int, trials: int) -> Macro:
        """Accept or reject a macro after it was run in fresh instances.

        Args:
            signature: Signature or name of the macro.
            passes: Number of instances in which it did what was expected.
            trials: Number of instances in which it was run.

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
