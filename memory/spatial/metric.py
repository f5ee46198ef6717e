"""Walking on maps of cells: path integration, maps of earlier visits, and which of them this one is."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from memory.provenance import Provenance
from memory.spatial.explore import Reach, best_pose
from memory.spatial.grid_map import Frame, Joined, Terrain
from memory.spatial.localize import BELIEVED, LABEL_MISSED, Atlas, Belief, Overlay
from memory.spatial.view import FORWARD, LEFT, RIGHT, Cell, Pose, Position, View
from memory.store import Store

FLOOR = Cell(0, 0, "", True)
"""What is taken for granted under one's feet until something else is seen there."""

MAX_CONTRADICTIONS = 6
"""Walls seen where floor was known, or floor where walls were, in one view: one must be elsewhere then."""

MIN_CONTRADICTIONS = 2
"""So many are enough where they are more than half of what is known of the view."""

_Seen = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one observation changed on the map.

    Attributes:
        place: Id of the place one stands on.
        map: Name of the map it is on.
        pose: Where that is, or ``None`` on a map without coordinates.
        relocalized: Whether a map of an earlier visit was just recognised for certain.
        confidence: Probability in [0, 1] that one knows where one is on the maps of earlier visits; 1
            where there are none.
        lost: Whether the view contradicted the map so much that a new map was begun.
        appeared: ``(what, place id)`` of things seen where they were not known to be.
        vanished: ``(what, place id)`` of things no longer where they were.
        renamed: New ids of places that turned out to be known ones.
    """

    place: int
    map: str
    pose: Pose | None
    relocalized: bool = False
    confidence: float = 1.0
    lost: bool = False
    appeared: tuple[_Seen, ...] = ()
    vanished: tuple[_Seen, ...] = ()
    renamed: Mapping[int, int] = field(default_factory=dict)


class MetricWalk:
    """One visit to a world that is seen as cells.

    The visit is mapped in a frame of its own. Hypotheses say where that lies on the maps of earlier
    visits. The best, once it is more likely than not, is laid under the new map for planning; nothing
    is written on it, so a wrong one costs a detour and no more. When one is certain, the maps become
    one.

    Args:
        store: The database.
        frame: The map of this visit.
        known: Maps of earlier visits to this world.
    """

    def __init__(self, store: Store, frame: Frame, known: list[str]) -> None:
        self.frame = frame
        self.pose = Pose(0, 0, 0)
        self.reach = Reach()
        self.view: View | None = None
        self.belief: Belief | None = None
        self._atlas = Atlas({name: Frame(store, name) for name in known})
        self._overlay: Overlay | None = None
        self._observed: set[Pose] = set()
        self._overlooked: Counter[Position] = Counter()

    @property
    def localized(self) -> bool:
        """Whether no map of an earlier visit is still waiting to be recognised."""
        return not self._atlas.frames

    @property
    def confidence(self) -> float:
        """Probability in [0, 1] of the best hypothesis; 1 when there is nothing to recognise."""
        return 1.0 if self.localized else self.belief.confidence if self.belief else 0.0

    @property
    def terrain(self) -> Terrain:
        """What to plan over: the map, and under it the one that it is believed to lie on."""
        return self._overlay or self.frame

    def observe(self, view: View, action: str | None, origin: Provenance) -> Sighting | None:
        """Take in one view; ``None`` when it can't be seen from where one should be."""
        before = self.pose
        pose = self._moved(before, action)
        if pose != before and action == FORWARD and self._disagrees(view, pose) and not self._disagrees(view, before):
            pose = before  # one meant to go on, and sees what one saw
        if self._contradicts(view, pose):
            return None
        ahead = before.at(1, 0)
        opened = self.frame.places.get(ahead) if action and action != FORWARD else None
        door = opened.via if opened is not None and not opened.passable and opened.via == action else ""
        appeared: list[_Seen] = []
        vanished: list[_Seen] = []
        for cell in view.cells:
            position = pose.at(cell.forward, cell.right)
            was = self.frame.see(position, cell, origin)
            if was == cell.content:
                continue
            place = self.frame.places[position]
            if place.is_landmark:
                appeared.append((cell.content, place.id))
            if was not in (None, "", "wall"):
                vanished.append((str(was), place.id))
        if action == FORWARD:
            self.frame.tried((before.x, before.y), ahead, FORWARD, pose != before, origin)
        elif door:
            self.frame.tried((before.x, before.y), ahead, door, self.frame.places[ahead].passable, origin)
        here = (pose.x, pose.y)
        if here not in self.frame.places:
            self.frame.see(here, FLOOR, origin)
        self.frame.visit(here, origin)
        self.pose, self.view = pose, view
        self.reach.learn(view)
        self._observed.add(pose)
        for position in self.reach.window(pose):
            if position not in self.frame.places:
                self._overlooked[position] += 1
        mapped = self.frame
        changed, self.frame.written = self.frame.written, []
        joined = self._localize(changed, origin)
        renamed = joined.renamed if joined else {}
        if joined:
            landmarks = [(p.content, p.id) for p in mapped.places.values() if p.is_landmark and p.id in renamed]
            appeared += landmarks
            vanished += [*landmarks, *joined.replaced]
        return Sighting(
            place=self.frame.places[self.pose.x, self.pose.y].id,
            map=self.frame.name,
            pose=self.pose,
            relocalized=joined is not None,
            confidence=self.confidence,
            appeared=tuple(dict.fromkeys((what, renamed.get(place, place)) for what, place in appeared)),
            vanished=tuple(dict.fromkeys(vanished)),
            renamed=renamed,
        )

    def _moved(self, pose: Pose, action: str | None) -> Pose:
        """Path integration: the pose after one's own action."""
        if action == LEFT:
            return pose.turned(-1)
        if action == RIGHT:
            return pose.turned(1)
        if action == FORWARD and self.view is not None and self.view.ahead_passable:
            return pose.advanced()
        return pose

    def _disagrees(self, view: View, pose: Pose) -> int:
        """How many cells show something else than the map, seen from a pose."""
        known = ((self.frame.places.get(pose.at(cell.forward, cell.right)), cell) for cell in view.cells)
        return sum(place is not None and place.content != cell.content for place, cell in known)

    def _contradicts(self, view: View, pose: Pose) -> bool:
        """Whether walls and floor are seen where the other was known, too often for one view."""
        wrong = both = 0
        for cell in view.cells:
            place = self.frame.places.get(pose.at(cell.forward, cell.right))
            if place is not None:
                both += 1
                wrong += (place.content == "wall") != (cell.content == "wall")
        return wrong > MAX_CONTRADICTIONS or (wrong >= MIN_CONTRADICTIONS and 2 * wrong > both)

    def _localize(self, changed: list[Position], origin: Provenance) -> Joined | None:
        """Weigh where this visit lies on older maps; joins the one that is certain."""
        if self.localized:
            return None
        if changed or self.belief is None:
            return self._believe(next(iter(self._atlas.beliefs(self.frame)), None), changed, origin)
        return None

    def _believe(self, best: Belief | None, changed: list[Position], origin: Provenance) -> Joined | None:
        self.belief = best
        if best is not None and best.certain:
            return self._join(best, origin)
        if best is None or best.confidence < BELIEVED:
            self._overlay = None
        elif self._overlay is None or (self._overlay.belief.known, self._overlay.belief.move) != (
            best.known, best.move,
        ):  # fmt: skip
            self._overlay = Overlay(self.frame, self._atlas.frames[best.known], best)
        else:
            self._overlay.refresh(iter(changed))
        return None

    def _join(self, belief: Belief, origin: Provenance) -> Joined:
        """Make the map of this visit part of a known one, and go on there."""
        known, move = self._atlas.frames[belief.known], belief.move
        joined = known.absorb(self.frame, move, origin)

        def moved(pose: Pose) -> Pose:
            return Pose(*move.apply((pose.x, pose.y)), (pose.heading + move.quarter_turns) % 4)

        self.pose = moved(self.pose)
        self._observed = {moved(pose) for pose in self._observed}
        self._overlooked = Counter({move.apply(at): count for at, count in self._overlooked.items()})
        self.frame, self._overlay, self.belief = known, None, None
        left = [name for name in self._atlas.frames if name != belief.known]
        self._atlas = Atlas({name: self._atlas.frames[name] for name in left})
        return joined

    def missed(self, label: str, origin: Provenance) -> None:
        """One stands where ``label`` should be, and it is not: the map or the belief is wrong."""
        here = (self.pose.x, self.pose.y)
        mine = self.frame.places.get(here)
        if mine is not None and mine.label == label:
            self.frame.label(here, "", origin)
        elif self._overlay is not None and self.belief is not None and self.terrain.places[here].label == label:
            key = (self.belief.known, self.belief.move)
            self._atlas.missed[key] = self._atlas.missed.get(key, 0.0) + LABEL_MISSED
            self._believe(next(iter(self._atlas.beliefs(self.frame)), None), [], origin)

    def look_next(self) -> list[int]:
        """Numbers of the poses to go to in order to see more; none when everything that can be reached was seen."""
        found = best_pose(self.terrain, self.pose, self.reach, self._observed, self._overlooked)
        return found[0] if found else []
