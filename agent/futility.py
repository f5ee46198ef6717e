"""What had no effect is not offered again: calls that changed nothing, and rounds that led back to where they began.

Agents waste most of their budget on repeats (Yao et al. 2023, arXiv:2210.03629, and many reports since). This holds for
every model, for it only narrows what is offered.
"""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tools import ToolCall, ToolSpec
from tools.schema import narrowed

LONGEST = 24
"""Longest round that is noticed, in calls."""

SURE, UNSURE = 2, 4
"""How often a call may change nothing before it is not offered: where the agent knows where it stands, and where it has
words only, which may be the same at two places of a corridor."""

REPEATED = "That was asked before, and nothing has changed."
USELESS = "{call} has changed nothing."
ROUND = "You have been going round: do something else."

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
        count: Calls so far that changed nothing or that only repeated what was known.
        note: What the model is told with the next observation or result; empty if there is nothing to say.
    """

    def __init__(self) -> None:
        self.count = 0
        self.note = ""
        self._useless: Counter[tuple[State, str]] = Counter()
        self._asked: dict[tuple[State, str], str] = {}
        self._steps: deque[_Step] = deque(maxlen=2 * LONGEST)
        self._stale: set[tuple[State, str]] = set()
        self._seen: set[State] = set()

    def acted(self, call: ToolCall, before: State, after: State, rewarded: bool = False) -> None:
        """Take in what an action led to.

        Args:
            call: The action.
            before: What was perceived before it.
            after: What is perceived now.
            rewarded: Whether there was a reward, which is an effect that can't be seen.
        """
        self.note = ""
        words = call.text()
        if after not in self._seen:  # something new: what was of no use may be of use now
            self._seen.add(after)
            self._stale.clear()
            self._steps.clear()
        if after != before or rewarded:
            self._asked.clear()
        else:
            self.count += 1
            self._useless[before, words] += 1
            if self._useless[before, words] >= _patience(before):
                self.note = USELESS.format(call=_shown(call))
        self._steps.append(_Step(before, words, after))
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
        words = call.text()
        key = (state, words)
        if self._asked.get(key) == result:
            self.count += 1
            self._useless[key] += 1
            self._stale.add(key)
            self.note = REPEATED
        self._asked[key] = result

    def _look_for_rounds(self) -> None:
        """Notice a round that was made twice; its calls are not offered where they were made till something is new."""
        steps = list(self._steps)
        for length in range(2, min(LONGEST, len(steps) // 2) + 1):
            last = steps[-length:]
            if last == steps[-2 * length : -length] and last[0].state == last[-1].after:
                self._stale |= {(step.state, step.call) for step in last}
                self._steps.clear()
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
        useless = {call for (at, call), times in self._useless.items() if at == state and times >= _patience(state)}
        useless |= {call for at, call in self._stale if at == state}
        if not useless:
            return [*offer]
        kept = [spec for one in offer if (spec := _without(one, useless)) is not None]
        able = {spec.name for spec in kept} & set(actions)
        return kept if able or not {spec.name for spec in offer} & set(actions) else [*offer]


def _patience(state: State) -> int:
    return UNSURE if state[1] is None else SURE


def _shown(call: ToolCall) -> str:
    words = ", ".join(str(value) for value in call.arguments.values())
    return f"{call.name} {words}".strip()


def _without(spec: ToolSpec, useless: set[str]) -> ToolSpec | None:
    """Return a tool without arguments that are of no use, ``None`` if nothing is left of it."""
    properties: Mapping[str, Any] = spec.parameters.get("properties", {})
    if not properties:
        return None if ToolCall(name=spec.name).text() in useless else spec
    calls = [ToolCall.parse(call) for call in useless if call.startswith(f'{{"name":"{spec.name}"')]
    if not calls:
        return spec
    if len(properties) > 1:
        return spec
    ((name, node),) = properties.items()
    tried = {str(call.arguments.get(name)) for call in calls}
    values = node.get("enum") if isinstance(node, Mapping) else None
    if values is None:
        return None if len(tried) >= SURE else spec
    left = [value for value in values if str(value) not in tried]
    return replace(spec, parameters=narrowed(spec.parameters, {name: left})) if left else None
