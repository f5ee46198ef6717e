"""The courier's expert: it writes down what it hears, asks its memories what a mission means, and asks the map."""

import random
import re
from collections.abc import Iterator, Sequence
from weakref import WeakKeyDictionary

from agent.chat import Chat
from agent.policies.follower import (
    MissionFollower,
    ahead_in,
    asks_twice,
    carried_in,
    choices,
)
from agent.policies.missions import Goal
from agent.policies.questions import (
    Calls,
    Meaning,
    Play,
    Understand,
    ask_graph,
    can_ask,
    facts_in,
    observations,
    offered,
    recall,
    same_name,
)
from memory.procedural.program import fits
from tools import ToolCall

FACTS = {
    "owner": (("{item}", "owned by", "{who}"),),
    "sold": (("{item}", "owned by", "{who}"),),
    "lent": (("{item}", "owned by", "{who}"), ("{item}", "lent to", "{whom}")),
    "opens": (("{item}", "opens", "{who}'s box"),),
    "moved": (("{who}", "lives in", "{room} room"),),
}
"""What a sentence tells the graph."""

NOTES = {"held": "day {day}: {who} held the {item}", "lay": "day {day}: in the {room} room lay the {item}"}
"""What is written down of a sentence."""

NOTE = re.compile(r"day (\d+): (?:(\w+) held the|in the (\w+) room lay the) (\w+ \w+)")
THING = re.compile(r"\ba (\w+ (?:ball|box|key)) \d")
DOOR = re.compile(r"(?:open|closed) (\w+) door: place \d+")
CHOICES = 4
MAX_LOOKS = 4
MAX_FORWARD = 3


class CourierExpert(Play):
    """Plays all days of a courier. Without one of its memories it does what the others allow, and guesses.

    Args:
        understand: Reads the environment's sentences.
    """

    def __init__(self, understand: Understand) -> None:
        super().__init__(understand)
        self._walker = MissionFollower(find=True)
        self._grounds: WeakKeyDictionary[Chat, tuple[int, ToolCall]] = WeakKeyDictionary()

    def play(self, chat: Chat) -> Iterator[ToolCall]:
        """One day."""
        mission = self.understand(chat.mission)[0]
        yield from self._write(chat, 0)
        if mission.kind == "round":
            yield from self._walk_round(chat)
        if mission.kind == "place":
            yield from self._reach(chat, mission.slots["item"])
        if mission.kind not in ("moved", "place"):
            yield from self._take(chat, (yield from self._chosen(chat, mission)))
        if "who" in mission.slots:
            yield from self._find(chat, mission.slots["who"])
            yield ToolCall(name="give")

    # what is heard

    def _write(self, chat: Chat, since: int) -> Calls[None]:
        """Write down what was said since a message."""
        for message in chat.messages[since:]:
            for meaning in self.understand(message.content) if message.observed else ():
                yield from self._note(chat, meaning)

    def _note(self, chat: Chat, meaning: Meaning) -> Calls[None]:
        slots = {"day": self._last(chat, "day"), "room": self._last(chat, "room"), **meaning.slots}
        for head, relation, tail in FACTS.get(meaning.kind, ()) if "tell" in offered(self.turn) else ():
            arguments = {"head": head.format(**slots), "relation": relation, "tail": tail.format(**slots)}
            yield ToolCall(name="tell", arguments=arguments)
        if "remember" in offered(self.turn) and meaning.kind in NOTES:
            yield ToolCall(name="remember", arguments={"text": NOTES[meaning.kind].format(**slots)})

    def _all(self, chat: Chat, kind: str) -> list[str]:
        """The days, or the rooms, that were spoken of in this episode."""
        found = (m for text in observations(chat) for m in self.understand(text) if m.kind == kind)
        return [meaning.slots[kind] for meaning in found]

    def _last(self, chat: Chat, kind: str) -> str:
        return (self._all(chat, kind) or [""])[-1]

    def _act(self, chat: Chat, call: ToolCall) -> Calls[None]:
        """One call, and what is heard after it is written down; what it rests on is asked again if it was dropped."""
        since, asked = self._grounds.get(chat, (chat.start, call))
        if since < chat.start:
            yield from self._ask(chat, asked)
        count = len(chat.messages)
        yield call
        yield from self._write(chat, count + 1)

    def _ask(self, chat: Chat, call: ToolCall) -> Calls[str]:
        """Ask a memory for what is to be acted upon; its answer."""
        yield call
        self._grounds[chat] = (len(chat.messages) - 1, call)
        return chat.messages[-1].content

    # what is meant

    def _chosen(self, chat: Chat, mission: Meaning) -> Calls[str]:
        """The thing that a mission is about, by the memory that knows it; else any of those in the hall."""
        slots = mission.slots
        if mission.kind in ("held", "lay"):
            found = yield from self._noted(chat, slots["day"], slots.get("whom") or slots["room"])
        else:
            found = yield from self._known(chat, mission)
        if found:
            return found
        seen = yield from self._look_round(chat, CHOICES)
        return random.Random(chat.seed).choice(seen) if seen else ""  # noqa: S311

    def _look_round(self, chat: Chat, count: int, thing: str = "") -> Calls[list[str]]:
        """Turn until so many things, or one, were seen; the things seen."""
        for look in range(MAX_LOOKS + 1):
            seen = list(dict.fromkeys(one for text in observations(chat) for one in THING.findall(text)))
            if len(seen) >= count or thing in seen or look == MAX_LOOKS:
                break
            yield from self._act(chat, ToolCall(name="left"))
        return seen

    def _known(self, chat: Chat, mission: Meaning) -> Calls[str]:
        """What the graph says."""
        who = mission.slots["who"]
        if mission.kind == "opens":
            keys = yield from self._facts(chat, f"{who}'s box", "opens")
            return keys[0][0] if keys else ""
        owned = [head for head, tail in (yield from self._facts(chat, who, "owned by")) if same_name(tail, who)]
        if mission.kind == "lent":
            whom = mission.slots["whom"]
            lent = [head for head, tail in (yield from self._facts(chat, whom, "lent to")) if same_name(tail, whom)]
            owned = [item for item in owned if item in lent]
        return owned[0] if owned else ""

    def _facts(self, chat: Chat, entity: str, relation: str) -> Calls[list[tuple[str, str]]]:
        if not can_ask(self.turn, "ask_graph", "entity", entity):
            return []
        return facts_in((yield from self._ask(chat, ask_graph(entity))), relation)

    def _noted(self, chat: Chat, day: str, about: str) -> Calls[str]:
        """What the notes say of a person or a room on a day."""
        if "recall" not in offered(self.turn):
            return ""
        notes = NOTE.findall((yield from self._ask(chat, recall(f"day {day} {about}"))))
        return next((item for when, who, room, item in notes if when == day and about in (who, room)), "")

    # where to go

    def _walk_round(self, chat: Chat) -> Calls[None]:
        """Enter one room after the other."""
        while True:
            yield from self._next_room(chat)

    def _next_room(self, chat: Chat) -> Calls[None]:
        """Enter the nearest room that was not entered today."""
        doors = dict.fromkeys(name.split()[-2] for name in self._things() if name.endswith(" door"))
        missing = self._last(chat, "left")
        been = {*self._all(chat, "room"), "open", "closed"}
        left = [color for color in doors if (color in missing.split(", ") if missing else color not in been)]
        if not left:  # all is done with the next action, or there is a room whose door was not seen
            yield from self._act(chat, ToolCall(name="left"))
            yield from self._act(chat, self._walker.pursue(self.turn, [Goal("go to", "another room")]))
            return
        if len(left) > 1 and "where_is" in offered(self.turn):
            yield ToolCall(name="where_is", arguments={"thing": "door"})
            left = [*(color for color in DOOR.findall(chat.messages[-1].content) if color in left), *left]
        yield from self._enter(chat, left[0])

    def _things(self) -> Sequence[str]:
        """What the map has."""
        return choices({spec.name: spec for spec in self.turn.offer}, "plan_route", "goal")

    def _reach(self, chat: Chat, thing: str) -> Calls[None]:
        """Stand before something; look round, then into one room after the other, while the map does not have it."""
        looks = 0
        while not fits(thing, ahead_in(observations(chat)[-1])):
            looks += 1
            if looks <= MAX_LOOKS or any(fits(thing, name) for name in self._things()):
                yield from self._act(chat, self._walker.pursue(self.turn, [Goal("go to", thing)]))
                if chat.messages[-1].content.endswith(": you are there"):  # in a doorway
                    return
            else:
                yield from self._next_room(chat)
        if "find" in offered(self.turn) and asks_twice(chat):
            yield from self._act(chat, ToolCall(name="find", arguments={"thing": thing}))

    def _enter(self, chat: Chat, color: str) -> Calls[None]:
        """Go through a door."""
        yield from self._reach(chat, f"{color} door")
        if ahead_in(observations(chat)[-1]).startswith("closed"):
            yield from self._act(chat, ToolCall(name="toggle"))
        for _ in range(MAX_FORWARD):
            if self._last(chat, "room") == color or "forward" not in offered(self.turn):
                break
            yield from self._act(chat, ToolCall(name="forward"))

    def _take(self, chat: Chat, thing: str) -> Calls[None]:
        yield from self._look_round(chat, CHOICES, thing)
        while carried_in(observations(chat)[-1]) != thing:
            yield from self._act(chat, self._walker.pursue(self.turn, [Goal("pick up", thing)]))
        self._grounds.pop(chat, None)

    def _find(self, chat: Chat, who: str) -> Calls[None]:
        """Stand before somebody: where they are seen, where they live now, or where they once were."""
        if not self._seen(chat, who):
            homes = [tail for head, tail in (yield from self._facts(chat, who, "lives in"))
                     if same_name(head, who)]  # fmt: skip
            if homes:
                yield from self._enter(chat, homes[0].removesuffix(" room"))
        self._grounds.pop(chat, None)
        yield from self._reach(chat, who)

    def _seen(self, chat: Chat, who: str) -> bool:
        return any(re.search(rf"\b{who} \d", text) for text in observations(chat))
