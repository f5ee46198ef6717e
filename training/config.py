"""Settings of a training, composed by Hydra from ``configs/`` and checked by pydantic."""

from collections.abc import Sequence
from glob import glob
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from agent.config import LocalChoice, compose_as
from memory.nearest import did_you_mean, nearest
from tools import MemoryTools, Tool

Split = Literal["train", "validation", "test"]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LoraSettings(_Settings):
    """Shape of the LoRA adapter (Hu et al. 2021, arXiv:2106.09685)."""

    r: int = Field(16, ge=1, le=256)
    alpha: int = Field(32, ge=1)
    dropout: float = Field(0.05, ge=0, lt=1)
    targets: Literal["attention", "all_linear"] = "attention"

    @property
    def modules(self) -> list[str]:
        """Names of the layers that are adapted."""
        attention = ["q_proj", "k_proj", "v_proj", "o_proj"]
        return attention if self.targets == "attention" else [*attention, "gate_proj", "up_proj", "down_proj"]


class Schedule(_Settings):
    """Length, learning rate and batch sizes of a training."""

    steps: int | None = Field(None, ge=1)
    epochs: float = Field(1.0, gt=0)
    tokens_per_step: int = Field(32768, ge=128)
    batch: int = Field(8, ge=1, description="Packed rows in one forward pass.")
    learning_rate: float = Field(1e-3, gt=0)
    scheduler: Literal["linear", "cosine", "constant"] = "cosine"
    warmup: float = Field(0.03, ge=0, lt=1)
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)
    checkpointing: bool = False
    fused_kernels: bool = False
    save_every: int = Field(200, ge=1)
    log_every: int = Field(10, ge=1)
    report_to: list[str] = Field(default_factory=list)
    eval_every: int = Field(100, ge=1)
    validate_every: int = Field(0, ge=0)
    validate_worlds: int = Field(16, ge=1)
    patience: int = Field(3, ge=1)
    workers: int = Field(0, ge=0)


class DataSettings(_Settings):
    """Settings of the training data: which episodes are used, and how often."""

    runs: list[Path] = Field(default_factory=list)
    prepared: Path | None = Field(None, description="Data set made with prepare_only=true, instead of runs.")
    exclude: list[str] = Field(default_factory=list, description="Sources to leave out: env:ID or the name of a run.")
    split: Split = "train"
    solved: bool = True
    most_over: float | None = Field(None, ge=1)
    weights: dict[str, float] = Field(default_factory=dict)
    without: list[str] = Field(default_factory=list)
    eval_runs: list[Path] = Field(default_factory=list)
    eval_share: float = Field(0.0, ge=0, lt=1)
    workers: int = Field(1, ge=1)
    validate_in: list[str] = Field(default_factory=list, alias="validate")

    @field_validator("runs", "eval_runs")
    @classmethod
    def _every(cls, runs: list[Path]) -> list[Path]:
        """Replace patterns such as ``runs/*/skills`` by the paths that they match.

        A pattern that matches nothing stays, so that a later error can name it.
        """
        return [Path(path) for run in runs for path in sorted(glob(str(run))) or [str(run)]]  # noqa: PTH207

    @field_validator("without")
    @classmethod
    def _tools(cls, without: list[str]) -> list[str]:
        """Refuse what looks like a misspelt memory tool; a plugin's tool may have any other name."""
        known = [name for kind in MemoryTools.__mro__ for name, item in vars(kind).items() if isinstance(item, Tool)]
        for name in without:
            if name not in known and nearest(name, known):
                raise ValueError(f"no memory tool is called {name!r}: {did_you_mean(name, known)}")
        return without

    @field_validator("weights")
    @classmethod
    def _not_negative(cls, weights: dict[str, float]) -> dict[str, float]:
        if any(weight < 0 for weight in weights.values()):
            raise ValueError("a weight is 0 or more")
        return weights

    def weight(self, env: str) -> float:
        """Return how often an episode of an environment is seen in an epoch."""
        return next((weight for part, weight in self.weights.items() if part.lower() in env.lower()), 1.0)


class TrainConfig(_Settings):
    """All settings of ``hippo train``."""

    model: LocalChoice
    lora: LoraSettings
    train: Schedule
    data: DataSettings
    name: str = Field(pattern=r"^[\w.-]+$")
    out: Path
    adapter: str | None
    seed: int = Field(ge=0)
    dry_run: bool
    prepare_only: bool

    @property
    def folder(self) -> Path:
        """Folder that the adapter is written to."""
        return self.out / self.name


def load_train(overrides: Sequence[str] = ()) -> TrainConfig:
    """Compose ``configs/train.yaml`` with ``key=value`` overrides.

    Raises:
        ConfigError: An unknown key or choice, or a value out of range.
    """
    return compose_as(overrides, "train", TrainConfig)


def plain(config: BaseModel) -> dict[str, Any]:
    """Return the settings as values that JSON can hold."""
    settings: dict[str, Any] = config.model_dump(mode="json", by_alias=True)
    return settings
