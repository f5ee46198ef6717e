"""What had no effect is not offered again: calls that changed nothing, and rounds that led back to where they began.

Agents waste most of their budget on repeats. This holds for every model, for it only narrows what is offered.
"""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tools import ToolCall, ToolSpec
from tools.schema import narrowed

LONGEST = 24
"""Longest round that is noticed, in calls."""

UNSURE = 3
"""How often an action may change nothing before it is not offered, where the agent has words only: they may be the same
at two places of a corridor. Where it knows where it stands, once is enough."""

SAME_ANSWER = 3
"""How many different questions to one tool may have the same answer before it is not offered in that state."""

REPEATED = "That was asked before, and nothing has changed."
USELESS = "{call} has changed nothing."
ROUND = "You have been going round: do something else."

ANY = ""
"""Stands for every call of a tool."""

State = tuple[str, object]
"""What the agent perceives: the observation, and where it stands if it knows."""


@dataclass(frozen=True, slots=True)
class _Step:
    state: State
    call: str
    after: State


class Futility:
    """What was of no use in one episode.

    Attributes:
        count: Calls so far that changed nothing, that asked again what was answered, or that made a round twice.
        note: What the model is told with the next observation or result; empty if there is nothing to say.
    """

    def __init__(self) -> None:
        self.count = 0
        self.note = ""
        self._useless: Counter[tuple[State, str]] = Counter()
        self._asked: dict[tuple[State, str], str] = {}
        self._answers: dict[tuple[State, str, str], set[str]] = {}
        self._steps: deque[_Step] = deque(maxlen=2 * LONGEST)
        self._stale: dict[State, set[tuple[str, str]]] = {}
        self._seen: set[State] = set()
        self._tried: set[_Step] = set()
        self._circling = False

    def acted(self, call: ToolCall, before: State, after: State, rewarded: bool = False) -> None:
        """Take in what an action led to.

        Args:
            call: The action.
            before: What was perceived before it.
            after: What is perceived now.
            rewarded: Whether there was a reward, which is an effect that can't be seen.
        """
        self.note = ""
        step = _Step(before, call.text(), after)
        self._seen.add(before)
        if after not in self._seen or rewarded:  # something new: what was of no use may be of use now
            self._renew()
        self._seen.add(after)
        if after != before or rewarded:
            self._asked.clear()
            self._answers.clear()
        else:
            self.count += 1
            self._useless[before, step.call] += 1
            if self._useless[before, step.call] >= (UNSURE if before[1] is None else 1):
                self._drop(before, call)
                self.note = USELESS.format(call=_shown(call))
        self._steps.append(step)
        self._tried.add(step)
        if self._circling:
            self._drop(before, call)
        self._look_for_rounds()

    def looked(self, call: ToolCall, state: State, result: str, wrote: bool) -> None:
        """Take in the result of a call that does not act.

        Args:
            call: The call.
            state: What was perceived when it was made.
            result: Its result in words.
            wrote: Whether it wrote something, after which others may answer otherwise.
        """
        self.note = ""
        if wrote:
            self._asked.clear()
            self._answers.clear()
        words = call.text()
        answers = self._answers.setdefault((state, call.name, result), set())
        again = self._asked.get((state, words)) == result
        answers.add(words)
        if again or len(answers) >= SAME_ANSWER:
            self.count += 1
            self._drop(state, call if again else ToolCall(name=call.name))
            self.note = REPEATED
        self._asked[state, words] = result

    def _renew(self) -> None:
        self._stale.clear()
        self._useless.clear()
        self._tried.clear()
        self._circling = False

    def _drop(self, state: State, call: ToolCall) -> None:
        values = [*call.arguments.values()]
        self._stale.setdefault(state, set()).add((call.name, str(values[0]) if len(values) == 1 else ANY))

    def _look_for_rounds(self) -> None:
        """Notice a round that was made twice: then nothing is done again where it was done, till something is new."""
        steps = list(self._steps)
        for length in range(2, min(LONGEST, len(steps) // 2) + 1):
            last = steps[-length:]
            moved = any(step.state != step.after for step in last)
            if moved and last == steps[-2 * length : -length] and last[0].state == last[-1].after:
                for step in self._tried.union(last):
                    self._drop(step.state, ToolCall.parse(step.call))
                self._steps.clear()
                self._circling = True
                self.count += length
                self.note = ROUND
                return

    def narrowed(self, offer: Sequence[ToolSpec], state: State, actions: Sequence[str]) -> list[ToolSpec]:
        """Return an offer without what is of no use in a state; at least one action stays if one was offered.

        Args:
            offer: The tools.
            state: What is perceived now.
            actions: Names of the world's actions.
        """
        stale = self._stale.get(state)
        if not stale:
            return [*offer]
        kept = [spec for one in offer if (spec := _without(one, stale)) is not None]
        acting = {spec.name for spec in offer} & set(actions)
        if acting and not acting & {spec.name for spec in kept}:
            kept += [spec for spec in offer if spec.name in acting]
        return kept or [*offer]


def _shown(call: ToolCall) -> str:
    words = ", ".join(str(value) for value in call.arguments.values())
    return f"{call.name} {words}".strip()


def _without(spec: ToolSpec, stale: set[tuple[str, str]]) -> ToolSpec | None:
    """Return a tool without values that are of no use, ``None`` if nothing is left of it."""
    values = {value for name, value in stale if name == spec.name}
    if not values:
        return spec
    properties: Mapping[str, Any] = spec.parameters.get("properties", {})
    if ANY in values or len(properties) != 1:
        return None
    ((name, node),) = properties.items()
    known = node.get("enum") if isinstance(node, Mapping) else None
    if known is None:
        return None
    left = [value for value in known if str(value) not in values]
    return replace(spec, parameters=narrowed(spec.parameters, {name: left})) if left else None
