"""A courier's world: who owns what, what was where and when, and how to get there."""

import re
from typing import Any, SupportsFloat

import numpy as np
from gymnasium.utils import seeding
from minigrid.core.constants import COLORS as RGB
from minigrid.core.grid import Grid
from minigrid.core.mission import MissionSpace
from minigrid.core.world_object import Ball, Box, Door, Key, WorldObj
from minigrid.utils.rendering import fill_coords, point_in_circle, point_in_triangle
from numpy.typing import NDArray

from envs.courier_story import COLORS, MISSIONS, NEEDS, ROUNDS, Errand, Story, write_story
from envs.courier_words import ASKING, TELLING
from envs.language import Meaning, spoken
from envs.perception import ACTIONS, Perception, SeenCell
from envs.settings import check_range, settings_of
from envs.speaking import Speaking
from envs.splits import layout_split
from envs.walking import DIRECTIONS, Pose, Stage, distances, fewest

Position = tuple[int, int]

LEVELS = {
    "easy": {"rooms": 4, "room_size": 5},
    "medium": {"rooms": 4, "room_size": 6},
    "hard": {"rooms": 6, "room_size": 6},
}
GIVE = 6
HALL = "hall"
_SPEAKER = re.compile(r"(?:[A-Z][a-z]+ says|A sign reads): ")
_DAY = re.compile(r"It is day (\d+)\.")
_LEFT = re.compile(r"Rooms to visit: ([a-z, ]+)\.")
_ROOM = re.compile(r"You enter the (\w+) room\.")


class Parcel(Box):
    """A box that stays closed; opening MiniGrid's own box destroys it."""

    def toggle(self, env: Any, pos: Position) -> bool:  # noqa: ARG002
        """Do nothing and return False: the box stays closed."""
        return False


class Resident(WorldObj):
    """A person who stands in a room."""

    def __init__(self, name: str, color: str) -> None:
        super().__init__("ball", color)
        self.name = name

    def encode(self) -> tuple[int, int, int]:
        """Encode the person as a ball with another state; MiniGrid caches the pictures of tiles by this code."""
        kind, color, _ = super().encode()
        return kind, color, 1

    def render(self, img: NDArray[np.uint8]) -> None:
        """Draw a head over a body."""
        fill_coords(img, point_in_triangle((0.15, 0.95), (0.85, 0.95), (0.5, 0.3)), RGB[self.color])
        fill_coords(img, point_in_circle(0.5, 0.27, 0.18), RGB[self.color])


class Courier(Speaking):
    """Rooms round a hall, people who tell facts in passing, and errands that need these facts.

    ## Description
    A world lasts seven days of one episode each: seeds ``7 n`` to ``7 n + 6``. On the first two days the agent walks a
    round. It hears who owns, lent or opens what, sees who holds a thing or what lies where, and reads who moves; some
    of this changes from one day to the next. On the other five days it is sent on errands: the first is to somebody
    who moved, the order of the others differs from world to world. There are four things in the hall or four rooms to
    choose from, so an agent that forgot everything succeeds in one errand of four (in one of three if it knows at
    least where somebody no longer lives). The kinds of missions, and the memory that each needs:

    - ``owner``, ``lent``, ``opens`` (one of them in each world) and ``moved``: facts that were told (graph);
    - ``held`` or ``lay``: what was seen on which day (episodes);
    - ``place``: the way to a thing that stayed, with time for the shortest way only (map);
    - ``errand``: a fact that was told, and the way to the person concerned (graph and map).

    ## Mission
    For example ``bring Ada what Ada lent to Bo``.

    ## Actions
    ``Discrete(7)``: left, right, forward, pickup, drop, toggle, 6 give. ``self.named_actions`` names them.

    ## Observation
    Text in the style of BabyAI-Text, preceded by what is said. ``info`` has ``view``, ``available_actions``,
    ``mission``, ``kind``, ``needs`` (the memories that the mission can't be done without) and ``world``.

    ## Reward
    ``1 - 0.9 * steps / max_steps`` on success, else 0.

    ## Termination
    The errand is done, or a thing is given that is wrong or to the wrong person. A round ends with the first action
    after the last room was entered. Truncated after ``max_steps``.

    ## Registered ids
    ``hippo/Courier-v0``

    Args:
        level: ``easy`` (four rooms of 3 x 3 cells), ``medium`` (four of 4 x 4) or ``hard`` (six of 4 x 4, two of
            them behind others); the other arguments override single settings of the level.
        rooms: Number of rooms without the hall, 4 to 6.
        room_size: Side of a room in cells, including its walls, 5 to 9.
        slack: Steps beyond the fewest possible that are allowed in errands with a bell.
        max_steps: Steps before truncation in the other episodes; by default 40 for each room.
        render_mode: ``None``, ``"ansi"`` or ``"rgb_array"``.

    Raises:
        EnvConfigError: A setting is out of range.
    """

    expert = "courier"
    named_actions = {**ACTIONS, "give": (GIVE, "give what you carry to the person ahead")}  # noqa: RUF012
    visits = ROUNDS + MISSIONS

    def __init__(
        self,
        level: str = "medium",
        rooms: int | None = None,
        room_size: int | None = None,
        slack: int = 6,
        max_steps: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        preset = settings_of(level, LEVELS)
        rooms = preset["rooms"] if rooms is None else rooms
        room_size = preset["room_size"] if room_size is None else room_size
        check_range("rooms", rooms, 4, 6)
        check_range("room_size", room_size, 5, 9)
        check_range("slack", slack, 0)
        if max_steps is not None:
            check_range("max_steps", max_steps, 1)
        self.rooms = rooms
        self.room_size = room_size
        self.slack = slack
        self.loose_steps = max_steps or 40 * rooms
        self.story: Story
        super().__init__(
            mission_space=MissionSpace(mission_func=lambda: "visit every room"),
            grid_size=3 * (room_size - 1) + 1,
            max_steps=self.loose_steps,
            render_mode=render_mode,
        )

    def world(self) -> str:
        """Return the name of the world, made of its settings and seed."""
        return f"courier-{self.rooms}-{self.room_size}-{self.world_seed}"

    @property
    def day(self) -> int:
        """The day of the story, counted from 1."""
        return self.visit + 1

    @property
    def errand(self) -> Errand | None:
        """The errand of the day; ``None`` on the days of the round."""
        return self.story.errands[self.day - ROUNDS - 1] if self.day > ROUNDS else None

    def _gen_grid(self, width: int, height: int) -> None:
        self.carrying = None  # MiniGrid resets it later, but the step limit below must not depend on the day before
        rng, _ = seeding.np_random(self.world_seed)
        while True:
            colors = tuple(COLORS[int(i)] for i in rng.permutation(len(COLORS))[: self.rooms])
            self._lay_out(colors, rng)
            layout = repr((sorted(self.centres.items()), sorted(self.doors.items()), sorted(self.corners.items())))
            if layout_split(layout.encode()) == self.split:
                break
        self.story = write_story(colors, self.split, rng)
        self.grid = Grid(width, height)
        span = self.room_size - 1
        for column, row in ((1, 1), *self.centres.values()):
            self.grid.wall_rect(column * span, row * span, self.room_size, self.room_size)
        for color, at in self.doors.items():
            self.grid.set(*at, Door(color))
        for who in self.story.people:
            stand = self.corners[self.story.home(who, self.day)][0]
            self.grid.set(*stand, Resident(who, COLORS[sorted(self.story.people).index(who)]))
        for color, thing in self.story.fixtures.items():
            self.grid.set(*self.corners[color][1], _thing(thing))
        errand = self.errand
        self.kind = errand.kind if errand else "round"
        if errand:
            places = [self._corners(1, 1)[int(i)] for i in self.np_random.permutation(4)]
            for thing, at in zip(errand.choices, places, strict=False):
                self.grid.set(*at, _thing(thing))
        meaning = errand.meaning if errand else Meaning("round")
        self.mission = ASKING.say(meaning.kind, self.split, self.np_random, **meaning.slots)
        self._heard: set[str] = set()
        self._room = HALL
        self.place_agent((span + 1, span + 1), (self.room_size - 2, self.room_size - 2))
        self.max_steps = self.optimal_steps() + self.slack if errand and errand.tight else self.loose_steps

    def _lay_out(self, colors: tuple[str, ...], rng: np.random.Generator) -> None:
        """Choose where the rooms and doors are; ``centres`` holds the column and row of each room."""
        span = self.room_size - 1
        arms = [(1, 0), (2, 1), (1, 2), (0, 1)]
        behind = [((0, 0), (2, 0), (2, 2), (0, 2))[int(i)] for i in rng.permutation(4)[: self.rooms - 4]]
        self.centres: dict[str, Position] = dict(zip(colors, [*arms, *behind], strict=True))
        self.doors: dict[str, Position] = {}
        self.corners: dict[str, tuple[Position, Position]] = {}
        for color, (column, row) in self.centres.items():
            before = (1, 1)
            if (column, row) in behind:
                before = ((1, row), (column, 1))[int(rng.integers(2))]
            offset = int(rng.integers(2, span - 1)) if span > 3 else 2
            dx, dy = column - before[0], row - before[1]
            x = column * span + offset if dx == 0 else max(column, before[0]) * span
            y = row * span + offset if dy == 0 else max(row, before[1]) * span
            self.doors[color] = (x, y)
            corners = self._corners(column, row)
            resident, fixture = (int(i) for i in rng.permutation(4)[:2])
            self.corners[color] = (corners[resident], corners[fixture])

    def _corners(self, column: int, row: int) -> list[Position]:
        """Return the cells in the corners of a room; things there block no way."""
        span = self.room_size - 1
        x, y = column * span, row * span
        return [(x + a, y + b) for a in (1, span - 1) for b in (1, span - 1)]

    def room_at(self, x: int, y: int) -> str:
        """Return the colour of the room that a cell is in, ``hall`` for the hall, empty for a wall or a door."""
        span = self.room_size - 1
        if x % span == 0 or y % span == 0:
            return ""
        at = (x // span, y // span)
        return next((color for color, centre in self.centres.items() if centre == at), HALL)

    def perceive(self) -> Perception:
        """Return what is seen now, with people by their names."""
        grid, visible = self.gen_obs_grid()
        seen = Perception.from_image(grid.encode(visible))
        width, height = grid.width, grid.height
        cells = []
        for cell in seen.cells:
            there = grid.get(cell.right + width // 2, height - 1 - cell.forward) if cell.kind == "ball" else None
            named = isinstance(there, Resident)
            cells.append(SeenCell.of(cell.forward, cell.right, there.name, "", "") if named else cell)  # type: ignore[union-attr]
        return Perception(tuple(cells), seen.carrying)

    def words(self, perceived: Perception) -> str:
        """Return the observation: the room that was entered, what is said there, and what is seen."""
        sentences = []
        if not self._heard:
            sentences.append(f"It is day {self.day}.")
            if self.errand and self.errand.tight:
                sentences.append(f"The bell rings after {self.max_steps} steps.")
            self._heard.add(HALL)
            sentences += self._said("")
        room = self.room_at(*map(int, self.agent_pos))
        if room and room != self._room:
            self._room = room
            sentences.append(f"You enter the {room} room." if room != HALL else "You enter the hall.")
            if room not in self._heard:
                self._heard.add(room)
                sentences += [f"It is day {self.day}."] * (self.errand is None)
                sentences += self._said(room)
        unvisited = [color for color in self.centres if color not in self._heard]
        if unvisited and self.errand is None:
            sentences.append(f"Rooms to visit: {', '.join(unvisited)}.")
        return " ".join([*sentences, perceived.text()])

    def _said(self, room: str) -> list[str]:
        """Return the sentences that are said in a room today."""
        sentences = []
        resident = next((who for who in self.story.people if self.story.home(who, self.day) == room), "")
        for statement in self.story.told:
            if (statement.day, statement.room) != (self.day, room):
                continue
            words = TELLING.say(statement.meaning.kind, self.split, self.np_random, **statement.meaning.slots)
            if statement.meaning.kind in ("held", "lay"):
                sentences.append(f"{spoken(words)}.")
            else:
                sentences.append(f"{resident} says: {spoken(words)}." if room else f"A sign reads: {spoken(words)}.")
        return sentences

    def understand(self, text: str) -> list[Meaning]:
        """Return the meanings in an observation or a mission: day, room, rooms to visit, statements, but not sights."""
        mission = ASKING.understand(text)
        if mission:
            return [mission]
        meanings = [Meaning("day", {"day": day}) for day in _DAY.findall(text)]
        meanings += [Meaning("room", {"room": room}) for room in _ROOM.findall(text)]
        meanings += [Meaning("left", {"left": rooms}) for rooms in _LEFT.findall(text)]
        for sentence in re.split(r"(?<=\.)\s", text):
            words = _SPEAKER.sub("", sentence).removesuffix(".")
            meaning = TELLING.understand(words) or TELLING.understand(words[:1].lower() + words[1:])
            if meaning:
                meanings.append(meaning)
        return meanings

    def _info(self) -> dict[str, Any]:
        info = super()._info() | {"needs": list(NEEDS[self.kind])}
        assert self._perceived is not None
        ahead = self._perceived.ahead
        available = info["available_actions"]
        if ahead is not None and ahead.kind == "box":
            available.remove("toggle")
        if ahead is not None and ahead.kind in self.story.people and self.carrying:
            available.append("give")
        return info

    def step(self, action: int) -> tuple[str, SupportsFloat, bool, bool, dict[str, Any]]:
        """Take one action."""
        walked = set(self.centres) <= self._heard
        observation, reward, terminated, truncated, info = super().step(action)
        outcome, remark = (True, "The round is done.") if walked and not self.errand else self._outcome(action)
        if action == GIVE and outcome is not None:
            observation, info = self.gen_obs(), info | self._info()  # the hands are empty now
        if outcome is not None:
            reward, terminated, truncated = (self._reward() if outcome else 0.0), True, False
        return " ".join(filter(None, (remark, observation))), reward, terminated, truncated, info

    def _outcome(self, action: int) -> tuple[bool | None, str]:
        """Return success, failure or ``None`` (the episode goes on), and the sentence that is said about it."""
        errand, ahead = self.errand, self.grid.get(*self.front_pos)
        if errand is None:
            return None, ""
        if action == GIVE and isinstance(ahead, Resident) and self.carrying is not None:
            given, self.carrying = self.carrying, None
            right = (ahead.name, f"{given.color} {given.type}") == (errand.person, errand.target)
            right = right and bool(errand.choices)
            return (
                right,
                f"{ahead.name} takes the {given.color} {given.type}. That was {'right' if right else 'wrong'}.",
            )
        if errand.kind == "moved" and isinstance(ahead, Resident) and ahead.name == errand.person:
            return True, f"{ahead.name} was waiting for you."
        if errand.kind == "place" and _is(ahead, errand.target):
            return True, "You are there."
        return None, ""

    def optimal_steps(self) -> int:
        """Return the fewest actions from the current state to the end of the day's mission."""
        start: Pose = (int(self.agent_pos[0]), int(self.agent_pos[1]), int(self.agent_dir))
        errand = self.errand
        if errand is None:
            return self._round_steps(start)
        if errand.kind == "place":
            stages = [Stage([self.corners[self._room_of(errand.target)][1]])]
        else:
            person = self.corners[self.story.home(errand.person, self.day)][0]
            stages = [Stage([person], 0 if errand.kind == "moved" else 1)]
            if errand.kind != "moved" and not _is(self.carrying, errand.target):
                at = self._cell_of(errand.target)
                stages.insert(0, Stage([at], 1, at))
        steps = fewest(self.grid, start, stages)
        assert steps is not None  # things stand in corners and block no way
        return steps

    def _room_of(self, thing: str) -> str:
        return next(color for color, fixture in self.story.fixtures.items() if fixture == thing)

    def _cell_of(self, thing: str) -> Position:
        cells = ((x, y) for x in range(self.width) for y in range(self.height))
        return next(at for at in cells if _is(self.grid.get(*at), thing))

    def _round_steps(self, start: Pose) -> int:
        """Return the length of the shortest way into every missing room, with one action for each closed door."""
        missing = [color for color in self.centres if color not in self._heard]
        world = Grid.decode(self.grid.encode())[0]
        closed = 0
        for color in missing:
            door = self.grid.get(*self.doors[color])
            closed += isinstance(door, Door) and not door.is_open
            world.set(*self.doors[color], None)
        entries: dict[str, Pose] = {color: self._entry(color) for color in missing}
        legs = {pose: distances(world, pose) for pose in (start, *entries.values())}
        best = {(frozenset[str](), start): 0}
        for _ in missing:
            following: dict[tuple[frozenset[str], Pose], int] = {}
            for (been, pose), cost in best.items():
                for color, entry in entries.items():
                    if color not in been:
                        key = (been | {color}, entry)
                        following[key] = min(following.get(key, 10**9), cost + legs[pose][entry])
            best = following
        return min(best.values()) + closed + 1

    def _entry(self, color: str) -> Pose:
        """Return the pose just after going through the door of a room."""
        x, y = self.doors[color]
        inside = ((x + dx, y + dy, heading) for heading, (dx, dy) in enumerate(DIRECTIONS))
        return next(pose for pose in inside if self.room_at(*pose[:2]) == color)


def _thing(name: str) -> WorldObj:
    color, kind = name.split()
    return {"ball": Ball, "box": Parcel, "key": Key}[kind](color)


def _is(cell: WorldObj | None, name: str) -> bool:
    return cell is not None and not isinstance(cell, Resident) and f"{cell.color} {cell.type}" == name
