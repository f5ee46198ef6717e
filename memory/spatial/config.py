"""Settings of the place graph."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Planner = Literal["dijkstra", "astar"]


class SpatialConfig(BaseModel):
    """Settings of the place graph."""

    model_config = ConfigDict(extra="forbid")

    similar: float = Field(0.8, ge=0, le=1, description="Least similarity at which two texts are one place.")
    expected: float = Field(0.5, ge=0, le=1, description="The same, if a known way or a unique word leads there.")
    max_places: int = Field(1_000_000, ge=100, description="Most places; maps unseen for longest are removed first.")
    ttl_days: float | None = Field(None, gt=0, description="Days after which unseen maps and places are removed.")
    planner: Planner = Field("dijkstra", description="Search on maps of cells: dijkstra (faster), or astar.")
    heuristic: Literal["manhattan"] = Field("manhattan", description="Lower bound of the cost that astar uses.")
