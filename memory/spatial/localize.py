"""Localization on maps of earlier visits: landmarks propose hypotheses, and all seen cells score them."""

from collections import ChainMap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memory.spatial.grid_map import (
    GridMap,
    Place,
    Terrain,
    Transform,
)
from memory.spatial.view import HEADINGS, Position

# Log-likelihood ratios for one cell, by what it shows now and what the map says: right place against chance.
SAME_THING = 4.0
SAME_WALL = 0.5
SAME_FLOOR = 0.1
THING_MOVED = -2.0
WALL_DIFFERS = -6.0
LABEL_MISSED = -8.0
ELSEWHERE = 4.5
"""Score of the hypothesis that the seen cells lie on no part of the known maps."""

BELIEVED = 0.5
"""Least confidence at which a hypothesis is used for planning; it changes nothing in the database."""

CERTAIN = 0.999
"""Least confidence at which two maps are merged; :data:`CERTAIN_MATCHES` landmarks must match, or one with
:data:`LONE_SCORE`."""

CERTAIN_MATCHES = 2
CERTAIN_SCORE = 8.0
LONE_SCORE = 24.0
"""Least score at which maps are merged if only one landmark matches; it may match in a wrong rotation."""

_UNKNOWN, _FLOOR, _WALL = -1, 0, 1


@dataclass(frozen=True, slots=True)
class Belief:
    """Hypothesis about how the new map lies on a known map.

    Attributes:
        known: Name of the known map.
        move: Transform from coordinates of the new map to those of the known map.
        confidence: Posterior probability in [0, 1] among all hypotheses, "elsewhere" included.
        score: Sum of the cells' log-likelihood ratios.
        matched: How many landmarks lie on landmarks of the same kind.
    """

    known: str
    move: Transform
    confidence: float
    score: float
    matched: int

    @property
    def certain(self) -> bool:
        """Whether the evidence is strong enough to merge the maps."""
        least = CERTAIN_SCORE if self.matched >= CERTAIN_MATCHES else LONE_SCORE
        return self.confidence >= CERTAIN and self.matched >= 1 and self.score >= least


def kind_of(content: str) -> str:
    """Return the kind of a thing, which does not change with its state: ``"open red door"`` is a ``"red door"``."""
    return " ".join(content.split()[-2:])


class Atlas:
    """The known maps of one world, as arrays for comparison.

    Args:
        grids: The known maps, by name.
    """

    def __init__(self, grids: Mapping[str, GridMap]) -> None:
        self.grids = dict(grids)
        self.codes: dict[str, int] = {"": _FLOOR, "wall": _WALL}
        self.missed: dict[tuple[str, Transform], float] = {}
        self._drawn: dict[str, tuple[Position, NDArray[np.int32]]] = {}
        self._landmarks: dict[str, dict[int, list[Position]]] = {}
        self._spawned: set[tuple[Position, int]] = set()
        self._moves: dict[str, dict[Transform, None]] = {name: {} for name in self.grids}
        for name, grid in self.grids.items():
            self._draw(name, grid)

    def _code(self, content: str) -> int:
        return self.codes.setdefault(content if content in ("", "wall") else kind_of(content), len(self.codes))

    def _draw(self, name: str, known: GridMap) -> None:
        places = np.array(list(known.places), dtype=np.int64).reshape(-1, 2)
        low = places.min(axis=0)
        grid = np.full(places.max(axis=0) - low + 1, _UNKNOWN, dtype=np.int32)
        landmarks: dict[int, list[Position]] = {}
        for (x, y), place in known.places.items():
            code = grid[x - low[0], y - low[1]] = self._code(place.content)
            if place.is_landmark:
                landmarks.setdefault(int(code), []).append((x, y))
        self._drawn[name] = ((int(low[0]), int(low[1])), grid)
        self._landmarks[name] = landmarks

    def drop(self, name: str) -> None:
        """Leave out a map that was merged with another."""
        for part in (self.grids, self._drawn, self._landmarks, self._moves):
            part.pop(name, None)

    def beliefs(self, new: Terrain) -> list[Belief]:
        """Return every hypothesis about where ``new`` lies, the most likely first.

        Each pair of landmarks of the same kind proposes four transforms. The score of a transform sums over
        all cells of the two maps that it lays on each other.
        """
        cells = np.array(list(new.places), dtype=np.int64).reshape(-1, 2)
        codes = np.array([self._code(place.content) for place in new.places.values()], dtype=np.int32)
        self._propose(new)
        hypotheses = []
        for name in self.grids:
            moves = list(self._moves[name])
            if not moves:
                continue
            scores, matched = self._weigh(name, moves, cells, codes)
            hypotheses += [(name, move, float(s), int(m)) for move, s, m in zip(moves, scores, matched, strict=True)]
        if not hypotheses:
            return []
        scores = np.array([score for _, _, score, _ in hypotheses])
        top = max(float(scores.max()), ELSEWHERE)
        weights = np.exp(scores - top)
        weights /= weights.sum() + np.exp(ELSEWHERE - top)
        beliefs = (Belief(n, m, float(w), s, c) for (n, m, s, c), w in zip(hypotheses, weights, strict=True))
        return sorted(beliefs, key=lambda b: (-b.score, b.known, b.move.quarter_turns, b.move.dx, b.move.dy))

    def _propose(self, new: Terrain) -> None:
        for position, place in new.places.items():
            if not place.is_landmark:
                continue
            code = self._code(place.content)
            if (position, code) in self._spawned:
                continue
            self._spawned.add((position, code))
            for name, landmarks in self._landmarks.items():
                for x, y in landmarks.get(code, ()):
                    for turns in range(4):
                        rx, ry = Transform(turns, 0, 0).apply(position)
                        self._moves[name][Transform(turns, x - rx, y - ry)] = None

    def _weigh(
        self, name: str, moves: list[Transform], cells: NDArray[np.int64], codes: NDArray[np.int32]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return the score and the count of matched landmarks of each move, float64 and int64 ``[moves]``."""
        (left, top), grid = self._drawn[name]
        axes = np.array(HEADINGS)
        turns = np.array([move.quarter_turns for move in moves])
        shift = np.array([(move.dx - left, move.dy - top) for move in moves])
        forward, side = axes[turns % 4], axes[(turns + 1) % 4]
        at = cells[None, :, :1] * forward[:, None, :] + cells[None, :, 1:] * side[:, None, :] + shift[:, None, :]
        inside = ((at >= 0) & (at < grid.shape)).all(axis=2)
        at = np.where(inside[..., None], at, 0)
        known = np.where(inside, grid[at[..., 0], at[..., 1]], _UNKNOWN)
        equal = known == codes
        same = np.select([codes == _FLOOR, codes == _WALL], [SAME_FLOOR, SAME_WALL], SAME_THING)
        differs = np.where((known == _WALL) | (codes == _WALL), WALL_DIFFERS, THING_MOVED)
        score = np.where(known == _UNKNOWN, 0.0, np.where(equal, same[None, :], differs)).sum(axis=1)
        score += np.array([self.missed.get((name, move), 0.0) for move in moves])
        return score, (equal & (codes > _WALL)).sum(axis=1)


class Overlay(Terrain):
    """The new map with a known map under it, in coordinates of the new map, while the match is not certain.

    Args:
        new: The map of this visit.
        known: The known map.
        belief: The hypothesis about where the known map lies.
    """

    def __init__(self, new: Terrain, known: GridMap, belief: Belief) -> None:
        self.belief = belief
        self.new = new
        back = belief.move.inverse()
        under = {back.apply(position): place for position, place in known.places.items()}
        super().__init__({**under, **{at: _labelled(place, under.get(at)) for at, place in new.places.items()}}, {})
        self.edges = ChainMap(new.edges, known.edges)

    def refresh(self, seen: Iterable[Position]) -> None:
        """Copy changed places of the new map into the overlay.

        Args:
            seen: Positions that changed.
        """
        for position in seen:
            self.put(position, _labelled(self.new.places[position], self.places.get(position)))


def _labelled(place: Place, under: Place | None) -> Place:
    """Return the newer place, with the label of the older place if it has none of its own."""
    if under is None or place.label or not under.label:
        return place
    return Place(place.id, place.passable, place.content, under.label, place.visits, place.via, place.seen)
