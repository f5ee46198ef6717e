"""What an arm can't choose for itself: worlds, decisions, who plays, where it begins."""

from collections.abc import Mapping, Sequence
from typing import Any

from agent.config import CollectConfig, load_collect
from agent.hub import adapters
from agent.models.local import LocalModelConfig
from eval.errors import EvalError
from eval.suites import Arm

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


def weights(model: str, common: Sequence[str], arms: Mapping[str, Arm]) -> dict[str, str]:
    """SHA-256 of the adapter that plays in each arm that has one.

    Args:
        model: As for ``model=``.
        common: Settings of every arm.
        arms: By name; their settings may choose another adapter.
    """
    found: dict[str, str] = {}
    known: dict[tuple[str, ...], str | None] = {}
    for name, arm in arms.items():
        if arm.policy == "model":
            theirs = tuple(setting for setting in (*arm.set, *common) if setting.startswith("model."))
            if theirs not in known:
                made = load_collect(["policy=model", f"model={model}", *theirs]).model
                adapter = made.adapter if isinstance(made, LocalModelConfig) else None
                known[theirs] = adapters.digest(adapters.resolve(adapter)) if adapter else None
            if digest := known[theirs]:
                found[name] = digest
    return found


def begun_with(settings: Mapping[str, Any]) -> dict[str, str]:
    """The weights that an evaluation was begun with, by arm; one of an older release tells those of ``model`` only."""
    model = settings.get("model") or {}
    old = model.get("adapter_sha256")
    return dict(model.get("adapters") or ({"model": old} if old else {}))


def other_weights(a: Mapping[str, str], b: Mapping[str, str]) -> list[str]:
    """Arms that have other weights in ``b`` than in ``a``, of those in both."""
    return [name for name in a if name in b and a[name] != b[name]]


def _at(config: Mapping[str, Any], key: str) -> Any:
    found: Any = config
    for part in key.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found
