"""Five skills of BabyAI in one level, with many wordings of each mission."""

import contextlib
import io
from collections.abc import Sequence

from minigrid.envs.babyai.core.roomgrid_level import RejectSampling, RoomGridLevel
from minigrid.envs.babyai.core.verifier import (
    BeforeInstr,
    GoToInstr,
    Instr,
    ObjDesc,
    OpenInstr,
    PickupInstr,
    PutNextInstr,
)

from envs.errors import EnvConfigError
from envs.language import TemplateGrammar
from envs.settings import check_range, settings_of
from envs.speaking import Speaking
from envs.splits import layout_split
from envs.walking import DIRECTIONS, Pose, Stage, fewest

SKILLS = ("go to", "pick up", "open", "put next to", "pick up then go to")
LEVELS = {
    "easy": {"rooms": 2, "room_size": 5, "distractors": 4},
    "medium": {"rooms": 2, "room_size": 7, "distractors": 6},
    "hard": {"rooms": 6, "room_size": 6, "distractors": 12},
}
SHAPES = {1: (1, 1), 2: (1, 2), 3: (1, 3), 4: (2, 2), 6: (2, 3), 9: (3, 3)}
"""Rows and columns of rooms, by the number of rooms."""

MISSIONS = TemplateGrammar(
    {
        "go to": {
            "train": [
                "go to {thing}",
                "walk to {thing}",
                "find {thing} and go there",
                "stand in front of {thing}",
                "head for {thing}",
                "go over to {thing}",
                "move to {thing} and stop there",
                "get to {thing}",
            ],
            "validation": ["walk up to {thing}"],
            "test": ["find {thing} and walk to it", "go and stand in front of {thing}"],
        },
        "pick up": {
            "train": [
                "pick up {thing}",
                "take {thing}",
                "find {thing} and pick it up",
                "get hold of {thing}",
                "grab {thing}",
                "fetch {thing}",
                "look for {thing} and pick it up",
                "collect {thing}",
            ],
            "validation": ["go to {thing} and take it"],
            "test": ["find {thing} and take it", "go and pick up {thing}"],
        },
        "open": {
            "train": [
                "open {thing}",
                "go to {thing} and open it",
                "make sure that {thing} is open",
                "get {thing} open",
                "walk over and open {thing}",
                "look for {thing} and open it",
            ],
            "validation": ["walk to {thing} and open it"],
            "test": ["find {thing} and open it", "go and open {thing}"],
        },
        "put next to": {
            "train": [
                "put {thing} next to {other}",
                "place {thing} next to {other}",
                "lay {thing} next to {other}",
                "set {thing} down next to {other}",
                "move {thing} so that it is next to {other}",
                "drop {thing} next to {other}",
                "get {thing} and drop it next to {other}",
                "bring {thing} to {other} and put it down next to it",
            ],
            "validation": ["take {thing} and place it next to {other}"],
            "test": ["take {thing} and put it next to {other}", "pick up {thing} and lay it next to {other}"],
        },
        "pick up then go to": {
            "train": [
                "pick up {thing}, then go to {other}",
                "take {thing}, then walk to {other}",
                "get {thing} first, then go to {other}",
                "fetch {thing}, then go to {other}",
                "pick up {thing} and after that go to {other}",
                "first take {thing}, then walk over to {other}",
                "take {thing} along and go to {other}",
            ],
            "validation": ["pick up {thing} first, then walk to {other}"],
            "test": ["take {thing} first, then go to {other}", "get {thing}, then walk to {other}"],
        },
    },
    dict.fromkeys(("thing", "other"), "(?:the|a|an) [a-z]+ [a-z]+"),
)
PLAIN = {
    "go to": "go to {thing}", "pick up": "pick up {thing}", "open": "open {thing}",
    "put next to": "put {thing} next to {other}", "pick up then go to": "pick up {thing}, then go to {other}",
}  # fmt: skip
"""BabyAI's own wording of each skill."""


class BabyAIMixed(Speaking, RoomGridLevel):
    """Go to, pick up, open, put next to, and pick up then go to, with distractors and rooms.

    ## Description
    Rooms of equal size are joined by closed doors and hold things of different looks. Worlds are made with the
    generators and verifiers of BabyAI (Chevalier-Boisvert et al. 2019, arXiv:1810.08272). Every thing can be reached
    without moving another. Layouts are split into train, validation and test by a checksum, missions by wording.

    ## Mission
    One of five skills, for example ``take the red ball, then walk to the green key``.

    ## Actions
    ``Discrete(6)``: 0 left, 1 right, 2 forward, 3 pickup, 4 drop, 5 toggle. ``self.named_actions`` names them.

    ## Observation
    Text, in the manner of BabyAI-Text. ``info`` has ``view``, ``available_actions``, ``mission`` and ``kind``
    (the skill).

    ## Reward
    ``1 - 0.9 * steps / max_steps`` on success, else 0.

    ## Termination
    The mission is done. Truncated after ``max_steps``.

    ## Registered ids
    ``hippo/BabyAIMixed-v0``

    Args:
        level: ``easy`` (two rooms of 3 x 3 cells, 4 distractors), ``medium`` (two of 5 x 5, 6) or ``hard`` (six of
            4 x 4, 12); the other arguments override single settings of the level.
        rooms: Number of rooms: 1, 2, 3, 4, 6 or 9.
        room_size: Side of a room in cells, including its walls, 4 to 16.
        distractors: Number of things besides those that the mission needs, 0 to 14.
        skills: Which skills are asked for.
        max_steps: Steps before truncation; by default enough to search every room for each thing needed.
        render_mode: ``None``, ``"ansi"`` or ``"rgb_array"``.

    Raises:
        EnvConfigError: A setting is out of range, or the things do not fit into the rooms.
    """

    expert = "babyai"

    def __init__(
        self,
        level: str = "medium",
        rooms: int | None = None,
        room_size: int | None = None,
        distractors: int | None = None,
        skills: Sequence[str] = SKILLS,
        max_steps: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        preset = settings_of(level, LEVELS)
        rooms = preset["rooms"] if rooms is None else rooms
        room_size = preset["room_size"] if room_size is None else room_size
        distractors = preset["distractors"] if distractors is None else distractors
        if rooms not in SHAPES:
            raise EnvConfigError(f"rooms must be one of {', '.join(map(str, SHAPES))}, got {rooms}")
        check_range("room_size", room_size, 4, 16)
        check_range("distractors", distractors, 0, 14)
        if max_steps is not None:
            check_range("max_steps", max_steps, 1)
        skills = (str(skills),) if isinstance(skills, str) else tuple(skills)
        if not skills or not set(skills) <= set(SKILLS):
            raise EnvConfigError(f"skills must be some of {', '.join(SKILLS)}; got {', '.join(skills) or 'none'}")
        if rooms == 1 and "open" in skills:
            raise EnvConfigError("one room has no door to open: choose more rooms, or skills without open")
        if 2 * (distractors + 2) > rooms * (room_size - 2) ** 2:
            raise EnvConfigError(
                f"{distractors} distractors and two things of the mission would fill more than half of {rooms} rooms "
                f"of {room_size - 2} x {room_size - 2} cells: choose fewer, or larger rooms"
            )
        self.rooms = rooms
        self.distractors = distractors
        self.skills = skills
        self.instrs: Instr
        rows, columns = SHAPES[rooms]
        super().__init__(
            room_size=room_size, num_rows=rows, num_cols=columns, max_steps=max_steps, render_mode=render_mode
        )

    def _gen_grid(self, width: int, height: int) -> None:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints why it rejects a layout
            super()._gen_grid(width, height)
        thing, other = (desc.surface(self) if desc else "" for desc in self.wanted)
        self.mission = MISSIONS.say(self.kind, self.split, self.np_random, thing=thing, other=other)

    def gen_mission(self) -> None:
        """Lay out a world and choose its mission."""
        self.place_agent()
        self.connect_all()
        things = self.add_distractors(num_distractors=self.distractors + 2)
        self.check_objs_reachable()
        layout = self.grid.encode().tobytes() + bytes((*map(int, self.agent_pos), int(self.agent_dir)))
        if layout_split(layout) != self.split:
            raise RejectSampling("the layout belongs to another split")
        self.kind = self.skills[int(self.np_random.integers(len(self.skills)))]
        first, second = (things[int(i)] for i in self.np_random.permutation(len(things))[:2])
        thing, other = ObjDesc(first.type, first.color), ObjDesc(second.type, second.color)
        if self.kind == "open":
            doors = [door for row in self.room_grid for room in row for door in room.doors if door]
            thing = ObjDesc("door", doors[int(self.np_random.integers(len(doors)))].color)
        self.wanted = (thing, other if self.kind in ("put next to", "pick up then go to") else None)
        self.instrs = {
            "go to": lambda: GoToInstr(thing),
            "pick up": lambda: PickupInstr(thing),
            "open": lambda: OpenInstr(thing),
            "put next to": lambda: PutNextInstr(thing, other),
            "pick up then go to": lambda: BeforeInstr(PickupInstr(thing), GoToInstr(other)),
        }[self.kind]()

    def understand(self, mission: str) -> str:
        """Return a mission in BabyAI's own words; a mission of another grammar is returned unchanged."""
        meaning = MISSIONS.understand(mission)
        return PLAIN[meaning.kind].format(**meaning.slots) if meaning else mission

    def optimal_steps(self) -> int | None:
        """Return the fewest actions from the current state to the end of the mission, computed from the full state."""
        thing, other = self.wanted
        start: Pose = (int(self.agent_pos[0]), int(self.agent_pos[1]), int(self.agent_dir))
        first = self._cells(thing)
        if self.kind == "go to":
            return fewest(self.grid, start, [Stage(first)])
        if other is None:
            return fewest(self.grid, start, [Stage(first, 1)])
        take = Stage(first, 1, first[0])
        if self.kind == "pick up then go to":
            return fewest(self.grid, start, [take, Stage(self._cells(other))])
        ((x, y),) = self._cells(other)
        beside = [(x + dx, y + dy) for dx, dy in DIRECTIONS]
        free = [at for at in beside if self.grid.get(*at) is None or at == first[0]]
        return fewest(self.grid, start, [take, Stage(free, 1)])

    def _cells(self, desc: ObjDesc) -> list[tuple[int, int]]:
        """Return the cells of the things that match a description."""
        cells = ((x, y) for x in range(self.width) for y in range(self.height))
        contents = ((at, self.grid.get(*at)) for at in cells)
        return [at for at, cell in contents if cell and (cell.type, cell.color) == (desc.type, desc.color)]
