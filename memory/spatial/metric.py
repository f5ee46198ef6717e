"""Mapping of worlds that are seen as cells: path integration and localization on maps of earlier visits."""

from collections import Counter

from memory.provenance import Provenance
from memory.spatial.explore import Reach, best_pose
from memory.spatial.grid_map import GridMap, Joined, Terrain
from memory.spatial.localize import BELIEVED, LABEL_MISSED, Atlas, Belief, Overlay
from memory.spatial.sighting import Seen, Sighting
from memory.spatial.view import FORWARD, LEFT, RIGHT, Cell, Pose, Position, View
from memory.store import Store

FLOOR = Cell(0, 0, "", True)
"""Assumed content of the cell under the agent until something else is seen there."""

MAX_CONTRADICTIONS = 6
"""If more cells of one view show a wall instead of known floor, or floor instead of a wall, the agent is lost."""

MIN_CONTRADICTIONS = 2
"""This many contradictions are enough if they are more than half of the known cells of the view."""


class MetricWalk:
    """One visit to a world that is seen as cells.

    The visit is mapped in coordinates of its own. Hypotheses say where that lies on the maps of earlier
    visits. The best, once it is more likely than not, is laid under the new map for planning; nothing
    is written on it, so a wrong one costs a detour and no more. When one is certain, the maps become
    one.

    Args:
        store: The database.
        grid: The map of this visit.
        known: Maps of earlier visits to this world.
    """

    def __init__(self, store: Store, grid: GridMap, known: list[str]) -> None:
        self.grid = grid
        self.pose = Pose(0, 0, 0)
        self.reach = Reach()
        self.view: View | None = None
        self.belief: Belief | None = None
        self._atlas = Atlas({name: GridMap(store, name) for name in known})
        self._overlay: Overlay | None = None
        self._observed: set[Pose] = set()
        self._overlooked: Counter[Position] = Counter()

    @property
    def localized(self) -> bool:
        """Whether there is no map of an earlier visit left to recognise."""
        return not self._atlas.grids

    @property
    def confidence(self) -> float:
        """Probability in [0, 1] of the best hypothesis; 1 if there is no map to recognise."""
        return 1.0 if self.localized else self.belief.confidence if self.belief else 0.0

    @property
    def terrain(self) -> Terrain:
        """The terrain for planning: the map of this visit, with the most likely known map under it."""
        return self._overlay or self.grid

    def observe(self, view: View, action: str | None, origin: Provenance) -> Sighting | None:
        """Record one view and return what changed; ``None`` if the view contradicts the expected pose."""
        before = self.pose
        pose = self._moved(before, action)
        if pose != before and action == FORWARD and self._disagrees(view, pose) and not self._disagrees(view, before):
            pose = before  # the step failed: the view fits the pose before it
        if self._contradicts(view, pose):
            return None
        ahead = before.at(1, 0)
        opened = self.grid.places.get(ahead) if action and action != FORWARD else None
        door = opened.via if opened is not None and not opened.passable and opened.via == action else ""
        appeared: list[Seen] = []
        vanished: list[Seen] = []
        for cell in view.cells:
            position = pose.at(cell.forward, cell.right)
            was = self.grid.see(position, cell, origin)
            if was == cell.content:
                continue
            place = self.grid.places[position]
            if place.is_landmark:
                appeared.append((cell.content, place.id))
            if was not in (None, "", "wall"):
                vanished.append((str(was), place.id))
        if action == FORWARD:
            self.grid.tried((before.x, before.y), ahead, FORWARD, pose != before, origin)
        elif door:
            self.grid.tried((before.x, before.y), ahead, door, self.grid.places[ahead].passable, origin)
        here = (pose.x, pose.y)
        if here not in self.grid.places:
            self.grid.see(here, FLOOR, origin)
        self.grid.visit(here, origin)
        self.pose, self.view = pose, view
        self.reach.learn(view)
        self._observed.add(pose)
        for position in self.reach.window(pose):
            if position not in self.grid.places:
                self._overlooked[position] += 1
        mapped = self.grid
        changed, self.grid.written = self.grid.written, []
        joined = self._localize(changed, origin)
        renamed = joined.renamed if joined else {}
        if joined:
            landmarks = [(p.content, p.id) for p in mapped.places.values() if p.is_landmark and p.id in renamed]
            appeared += landmarks
            vanished += [*landmarks, *joined.replaced]
        return Sighting(
            place=self.grid.places[self.pose.x, self.pose.y].id,
            map=self.grid.name,
            pose=self.pose,
            relocalized=joined is not None,
            confidence=self.confidence,
            appeared=tuple(dict.fromkeys((what, renamed.get(place, place)) for what, place in appeared)),
            vanished=tuple(dict.fromkeys(vanished)),
            renamed=renamed,
        )

    def _moved(self, pose: Pose, action: str | None) -> Pose:
        """Return the pose after an action of the agent (path integration)."""
        if action == LEFT:
            return pose.turned(-1)
        if action == RIGHT:
            return pose.turned(1)
        if action == FORWARD and self.view is not None and self.view.ahead_passable:
            return pose.advanced()
        return pose

    def _disagrees(self, view: View, pose: Pose) -> int:
        """Count the cells of a view that differ from the map, if seen from this pose."""
        known = ((self.grid.places.get(pose.at(cell.forward, cell.right)), cell) for cell in view.cells)
        return sum(place is not None and place.content != cell.content for place, cell in known)

    def _contradicts(self, view: View, pose: Pose) -> bool:
        """Return whether too many cells of a view show a wall instead of known floor, or floor instead of a wall."""
        wrong = both = 0
        for cell in view.cells:
            place = self.grid.places.get(pose.at(cell.forward, cell.right))
            if place is not None:
                both += 1
                wrong += (place.content == "wall") != (cell.content == "wall")
        return wrong > MAX_CONTRADICTIONS or (wrong >= MIN_CONTRADICTIONS and 2 * wrong > both)

    def _localize(self, changed: list[Position], origin: Provenance) -> Joined | None:
        """Update the hypotheses about where this visit lies on older maps; merge the maps if the best is certain."""
        if self.localized:
            return None
        if changed or self.belief is None:
            return self._believe(next(iter(self._atlas.beliefs(self.grid)), None), changed, origin)
        return None

    def _believe(self, best: Belief | None, changed: list[Position], origin: Provenance) -> Joined | None:
        self.belief = best
        if best is not None and best.certain:
            return self._join(best, origin)
        if best is None or best.confidence < BELIEVED:
            self._overlay = None
        elif self._overlay is None or (self._overlay.belief.known, self._overlay.belief.move) != (
            best.known,
            best.move,
        ):
            self._overlay = Overlay(self.grid, self._atlas.grids[best.known], best)
        else:
            self._overlay.refresh(iter(changed))
        return None

    def _join(self, belief: Belief, origin: Provenance) -> Joined:
        """Merge the map of this visit into a known map, and continue on the known map."""
        known, move = self._atlas.grids[belief.known], belief.move
        joined = known.absorb(self.grid, move, origin)

        def moved(pose: Pose) -> Pose:
            return Pose(*move.apply((pose.x, pose.y)), (pose.heading + move.quarter_turns) % 4)

        self.pose = moved(self.pose)
        self._observed = {moved(pose) for pose in self._observed}
        self._overlooked = Counter({move.apply(at): count for at, count in self._overlooked.items()})
        self.grid, self._overlay, self.belief = known, None, None
        left = [name for name in self._atlas.grids if name != belief.known]
        self._atlas = Atlas({name: self._atlas.grids[name] for name in left})
        return joined

    def missed(self, label: str, origin: Provenance) -> None:
        """Correct the map or the hypothesis: the agent stands where ``label`` should be, and it is not there."""
        here = (self.pose.x, self.pose.y)
        own = self.grid.places.get(here)
        if own is not None and own.label == label:
            self.grid.label(here, "", origin)
        elif self._overlay is not None and self.belief is not None and self.terrain.places[here].label == label:
            key = (self.belief.known, self.belief.move)
            self._atlas.missed[key] = self._atlas.missed.get(key, 0.0) + LABEL_MISSED
            self._believe(next(iter(self._atlas.beliefs(self.grid)), None), [], origin)

    def look_next(self) -> list[int]:
        """Return the numbers of the poses from which to see more; empty if everything that can be reached was seen."""
        best = best_pose(self.terrain, self.pose, self.reach, self._observed, self._overlooked)
        return best[0] if best else []
