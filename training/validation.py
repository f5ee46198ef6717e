"""Validation by playing: success in worlds of the validation split, not only the loss."""

import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import torch

from agent.config import load_collect
from agent.logs.manifest import totals
from agent.models.local import LocalModel
from agent.rollout.collect import Collection
from agent.text_env import visits_of
from envs import make
from envs.splits import seeds_of
from training.config import TrainConfig
from training.errors import TrainConfigError

MAX_CALLS = 200
"""Greatest number of decisions in one validation episode."""


class Validator:
    """A player of validation worlds with a model in training.

    Args:
        config: Settings of the training; ``data.validate`` names the environments.
        tokenizer: The model's tokenizer.

    Raises:
        TrainConfigError: No environment is named.
        ConfigError: A named environment does not exist.
    """

    def __init__(self, config: TrainConfig, tokenizer: Any) -> None:
        if not config.data.validate_in:
            raise TrainConfigError("train.validate_every needs environments: data.validate=[babyai_mixed, courier]")
        self.config = config
        self.tokenizer = tokenizer
        for name in config.data.validate_in:
            load_collect([f"env={name}"])

    def __call__(self, model: Any) -> dict[str, float]:
        """Return the share of solved episodes in each environment."""
        training, attention = model.training, model.config._attn_implementation
        base = model.get_base_model()
        base.set_attn_implementation("sdpa")
        model.eval()
        try:
            return {name: self._play(name, model) for name in self.config.data.validate_in}
        finally:
            base.set_attn_implementation(attention)
            model.train(training)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _play(self, name: str, model: Any) -> float:
        worlds = self.config.train.validate_worlds
        overrides = [
            f"env={name}",
            "policy=model",
            "split=validation",
            f"batch={worlds}",
            f"agent.max_calls={MAX_CALLS}",
        ]
        config = load_collect(overrides)
        tools = [tool for tool in config.memory.tools if tool not in self.config.data.without]
        with closing(make(config.env.id, **config.env.kwargs)) as env:
            episodes = worlds * visits_of(env)
        with tempfile.TemporaryDirectory() as folder:
            changed = {"tools": tools, "enabled": bool(tools)}
            config = config.model_copy(
                update={
                    "episodes": episodes,
                    "runs": Path(folder),
                    "model": self.config.model,
                    "memory": config.memory.model_copy(update=changed),
                }
            )
            player = LocalModel(self.config.model, (model, self.tokenizer))
            collection = Collection(config, seeds_of("validation"), make, player)
            collection.run()
            return float(totals(collection.rows)["success"])
