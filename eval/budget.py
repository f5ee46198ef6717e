"""What an arm can't choose for itself: worlds, decisions, who plays, where it begins."""

from collections.abc import Mapping, Sequence
from typing import Any

from agent.config import CollectConfig
from eval.errors import EvalError

FIXED = {
    "seed": "seed=", "episodes": "n=", "split": "split=", "batch": "batch=", "workers": "processes=", "runs": "runs=",
    "name": "name=", "agent.max_calls": "set=[agent.max_calls=...]", "policy": "the arm's key policy",
    "memory.path": "the arm's key memories",
}  # fmt: skip
"""Settings of a run that are every arm's, and what sets them."""


def same_budget(arm: str, mine: CollectConfig, plain: CollectConfig) -> None:
    """Refuse an arm whose settings change more than the agent.

    Args:
        arm: Its name.
        mine: What it would be played with.
        plain: The same without its settings.

    Raises:
        EvalError: One of them is every arm's.
    """
    one, other = mine.model_dump(mode="json"), plain.model_dump(mode="json")
    for key, by in FIXED.items():
        if _at(one, key) != _at(other, key):
            raise EvalError(f"arm {arm} sets {key}, which is not an arm's to set: it is set by {by}")


def all_alike(settings: Sequence[str]) -> None:
    """Refuse settings for every arm that have a key of their own.

    Raises:
        EvalError: One has.
    """
    for setting in settings:
        key = setting.partition("=")[0].strip(" +~")
        if key in FIXED and key != "agent.max_calls":
            raise EvalError(f"set= has {key}: it is set by {FIXED[key]}")


def _at(config: Mapping[str, Any], key: str) -> Any:
    found: Any = config
    for part in key.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found
