"""What an arm can't choose for itself: worlds, decisions, who plays, where it begins."""

from collections.abc import Mapping, Sequence
from typing import Any

from agent import adapters
from agent.config import CollectConfig, load_collect
from agent.models.local import LocalModelConfig
from eval.errors import EvalError

FIXED = {
    "seed": "seed=", "episodes": "n=", "split": "split=", "batch": "batch=", "workers": "processes=", "runs": "runs=",
    "name": "name=", "agent.max_calls": "set=[agent.max_calls=...]", "policy": "the arm's key policy",
    "memory.path": "the arm's key memories", "env": "the suite's tasks",
}  # fmt: skip
"""Settings of a run that are every arm's, and what sets them."""


def same_budget(whose: str, mine: CollectConfig, plain: CollectConfig, free: Sequence[str] = ()) -> None:
    """Refuse settings that change more than the agent.

    Args:
        whose: Whose settings, for the message.
        mine: What would be played with.
        plain: The same without these settings.
        free: Keys that may differ.

    Raises:
        EvalError: One of them has a place of its own.
    """
    one, other = mine.model_dump(mode="json"), plain.model_dump(mode="json")
    for key, by in FIXED.items():
        if key not in free and _at(one, key) != _at(other, key):
            raise EvalError(f"{whose} changes {key}, which is set by {by}")


def weights(model: str) -> str | None:
    """SHA-256 of the adapter of ``model=``, if it has one."""
    found = load_collect(["policy=model", f"model={model}"]).model
    adapter = found.adapter if isinstance(found, LocalModelConfig) else None
    return adapters.digest(adapters.resolve(adapter)) if adapter else None


def _at(config: Mapping[str, Any], key: str) -> Any:
    found: Any = config
    for part in key.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found
