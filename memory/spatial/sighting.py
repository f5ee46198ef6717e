"""What one observation changed on the map."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from memory.spatial.view import Pose

Seen = tuple[str, int]
"""What was seen, and the id of the place."""


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
    appeared: tuple[Seen, ...] = ()
    vanished: tuple[Seen, ...] = ()
    renamed: Mapping[int, int] = field(default_factory=dict)
