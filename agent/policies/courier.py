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
from tools import names as tool_names

FACTS = {
    "owner": (("{item}", "owned by", "{who}"),),
    "sold": (("{item}", "owned by", "{who}"),),
    "lent": (("{item}", "owned by", "{who}"), ("{item}", "lent to", "{whom}")),
    "opens": (("{item}", "opens", "{who}'s box"),),
    "moved": (("{who}", "lives in", "{room} room"),),
}
"""The facts that the graph is told, for each kind of sentence."""

NOTES = {"held": "day {day}: {who} held the {item}", "lay": "day {day}: in the {room} room lay the {item}"}
"""The note that is written with ``remember``, for each kind of sentence."""

NOTE = re.compile(r"day (\d+): (?:(\w+) held the|in the (\w+) room lay the) (\w+ \w+)")
THING = re.compile(r"\ba (\w+ (?:ball|box|key)) \d")
DOOR = re.compile(r"(?:open|closed) (\w+) door: place \d+")
CHOICES = 4
MAX_LOOKS = 4
MAX_FORWARD = 3


class CourierExpert(Play):
    """Expert for all days of a courier. Without one of its memories it uses the others, and guesses the rest.

    Args:
        understand: Parses the environment's sentences into meanings.
    """

    def __init__(self, understand: Understand) -> None:
        super().__init__(understand)
        self._walker = MissionFollower(find=True)
        self._grounds: WeakKeyDictionary[Chat, tuple[int, ToolCall]] = WeakKeyDictionary()

    def play(self, chat: Chat) -> Iterator[ToolCall]:
        """Yield the calls of one day."""
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

    # writing down what is heard

    def _write(self, chat: Chat, since: int) -> Calls[None]:
        """Write down what was said from message number ``since`` on."""
        for message in chat.messages[since:]:
            for meaning in self.understand(message.content) if message.observed else ():
                yield from self._note(chat, meaning)

    def _note(self, chat: Chat, meaning: Meaning) -> Calls[None]:
        slots = {"day": self._last(chat, "day"), "room": self._last(chat, "room"), **meaning.slots}
        for head, relation, tail in FACTS.get(meaning.kind, ()) if tool_names.TELL in offered(self.turn) else ():
            arguments = {"head": head.format(**slots), "relation": relation, "tail": tail.format(**slots)}
            yield ToolCall(name=tool_names.TELL, arguments=arguments)
        if tool_names.REMEMBER in offered(self.turn) and meaning.kind in NOTES:
            yield ToolCall(name=tool_names.REMEMBER, arguments={"text": NOTES[meaning.kind].format(**slots)})

    def _all(self, chat: Chat, kind: str) -> list[str]:
        """Return the slot ``kind``, such as a day or a room, of every sentence of that kind in the window."""
        meanings = (m for text in observations(chat) for m in self.understand(text) if m.kind == kind)
        return [meaning.slots[kind] for meaning in meanings]

    def _last(self, chat: Chat, kind: str) -> str:
        return (self._all(chat, kind) or [""])[-1]

    def _act(self, chat: Chat, call: ToolCall) -> Calls[None]:
        """Do one call, and write down what is heard after it.

        If the memory's answer on which the call rests has dropped out of the window, ask for it again first.
        """
        since, question = self._grounds.get(chat, (chat.start, call))
        if since < chat.start:
            yield from self._ask(chat, question)
        count = len(chat.messages)
        yield call
        yield from self._write(chat, count + 1)

    def _ask(self, chat: Chat, call: ToolCall) -> Calls[str]:
        """Ask a memory for what the next calls rest on, and return its answer."""
        yield call
        self._grounds[chat] = (len(chat.messages) - 1, call)
        return chat.messages[-1].content

    # finding out what the mission is about

    def _chosen(self, chat: Chat, mission: Meaning) -> Calls[str]:
        """Return the thing that a mission is about, from the memory that knows it; else a random one that was seen."""
        slots = mission.slots
        if mission.kind in ("held", "lay"):
            thing = yield from self._noted(chat, slots["day"], slots.get("whom") or slots["room"])
        else:
            thing = yield from self._known(chat, mission)
        if thing:
            return thing
        things = yield from self._look_round(chat, CHOICES)
        return random.Random(chat.seed).choice(things) if things else ""  # noqa: S311

    def _look_round(self, chat: Chat, count: int, thing: str = "") -> Calls[list[str]]:
        """Turn until ``count`` things, or ``thing``, were seen; return the things seen."""
        for look in range(MAX_LOOKS + 1):
            things = list(dict.fromkeys(name for text in observations(chat) for name in THING.findall(text)))
            if len(things) >= count or thing in things or look == MAX_LOOKS:
                break
            yield from self._act(chat, ToolCall(name="left"))
        return things

    def _known(self, chat: Chat, mission: Meaning) -> Calls[str]:
        """Return the thing that the graph gives for a mission, or an empty text."""
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
        if not can_ask(self.turn, tool_names.ASK_GRAPH, "entity", entity):
            return []
        return facts_in((yield from self._ask(chat, ask_graph(entity))), relation)

    def _noted(self, chat: Chat, day: str, about: str) -> Calls[str]:
        """Return the thing that the notes give for a person or a room on a day, or an empty text."""
        if tool_names.RECALL not in offered(self.turn):
            return ""
        notes = NOTE.findall((yield from self._ask(chat, recall(f"day {day} {about}"))))
        return next((item for when, who, room, item in notes if when == day and about in (who, room)), "")

    # walking

    def _walk_round(self, chat: Chat) -> Calls[None]:
        """Enter one room after the other."""
        while True:
            yield from self._next_room(chat)

    def _next_room(self, chat: Chat) -> Calls[None]:
        """Enter the nearest room that was not entered today."""
        doors = dict.fromkeys(name.split()[-2] for name in self._things() if name.endswith(" door"))
        missing = self._last(chat, "left")
        excluded = {*self._all(chat, "room"), "open", "closed"}
        targets = [color for color in doors if (color in missing.split(", ") if missing else color not in excluded)]
        if not targets:  # the next action ends the day, or there is a room whose door was not seen yet
            yield from self._act(chat, ToolCall(name="left"))
            yield from self._act(chat, self._walker.pursue(self.turn, [Goal("go to", "another room")]))
            return
        if len(targets) > 1 and tool_names.WHERE_IS in offered(self.turn):
            yield ToolCall(name=tool_names.WHERE_IS, arguments={"thing": "door"})
            targets = [*(color for color in DOOR.findall(chat.messages[-1].content) if color in targets), *targets]
        yield from self._enter(chat, targets[0])

    def _things(self) -> Sequence[str]:
        """Return the names of the things on the map."""
        return choices({spec.name: spec for spec in self.turn.offer}, tool_names.PLAN_ROUTE, "goal")

    def _reach(self, chat: Chat, thing: str) -> Calls[None]:
        """Walk until a thing is straight ahead.

        While the map does not have the thing, look round, then enter one room after the other.
        """
        looks = 0
        while not fits(thing, ahead_in(observations(chat)[-1])):
            looks += 1
            if looks <= MAX_LOOKS or any(fits(thing, name) for name in self._things()):
                yield from self._act(chat, self._walker.pursue(self.turn, [Goal("go to", thing)]))
                if chat.messages[-1].content.endswith(": you are there"):  # in a doorway
                    return
            else:
                yield from self._next_room(chat)
        if tool_names.FIND in offered(self.turn) and asks_twice(chat):
            yield from self._act(chat, ToolCall(name=tool_names.FIND, arguments={"thing": thing}))

    def _enter(self, chat: Chat, color: str) -> Calls[None]:
        """Go through the door of this colour."""
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
        """Walk to a person; if they were not seen, first enter the room where the graph says that they live."""
        if not self._seen(chat, who):
            homes = [tail for head, tail in (yield from self._facts(chat, who, "lives in")) if same_name(head, who)]
            if homes:
                yield from self._enter(chat, homes[0].removesuffix(" room"))
        self._grounds.pop(chat, None)
        yield from self._reach(chat, who)

    def _seen(self, chat: Chat, who: str) -> bool:
        return any(re.search(rf"\b{who} \d", text) for text in observations(chat))
