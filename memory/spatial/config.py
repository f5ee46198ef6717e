"""Settings of the place graph."""

from pydantic import BaseModel, ConfigDict, Field


class SpatialConfig(BaseModel):
    """Settings of the place graph."""

    model_config = ConfigDict(extra="forbid")

    similar: float = Field(0.8, ge=0, le=1, description="Least likeness of texts that makes two places one.")
    expected: float = Field(0.5, ge=0, le=1, description="The same, where a way or a word leads there.")
    max_places: int = Field(1_000_000, ge=100, description="Most places; maps not seen longest go first.")
    ttl_days: float | None = Field(None, gt=0, description="Maps and places not seen for so long go.")
