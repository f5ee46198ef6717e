"""The budget that an arm can't change: worlds, decisions, who plays, and the memory it begins with."""

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
"""Settings of a run that are the same for every arm, with the key that sets each of them."""


def same_budget(whose: str, mine: CollectConfig, plain: CollectConfig, free: Sequence[str] = ()) -> None:
    """Check that settings change nothing but the agent.

    Args:
        whose: Name of the settings, for the message.
        mine: The run with these settings.
        plain: The run without them.
        free: Keys that may differ.

    Raises:
        EvalError: The settings change a key of ``FIXED``, which is set elsewhere.
    """
    changed, unchanged = mine.model_dump(mode="json"), plain.model_dump(mode="json")
    for key, by in FIXED.items():
        if key not in free and _at(changed, key) != _at(unchanged, key):
            raise EvalError(f"{whose} changes {key}, which is set by {by}")


def weights(model: str, common: Sequence[str], arms: Mapping[str, Arm]) -> dict[str, str]:
    """Return the SHA-256 digest of the adapter of each arm that has one.

    Args:
        model: The model, as for ``model=``.
        common: Settings of every arm.
        arms: The arms by name; their settings may choose another adapter.
    """
    digests: dict[str, str] = {}
    known: dict[tuple[str, ...], str | None] = {}
    for name, arm in arms.items():
        if arm.policy == "model":
            model_settings = tuple(setting for setting in (*arm.set, *common) if setting.startswith("model."))
            if model_settings not in known:
                local_model = load_collect(["policy=model", f"model={model}", *model_settings]).model
                adapter = local_model.adapter if isinstance(local_model, LocalModelConfig) else None
                known[model_settings] = adapters.digest(adapters.resolve(adapter)) if adapter else None
            if digest := known[model_settings]:
                digests[name] = digest
    return digests


def begun_with(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the digests of the adapters that an evaluation was begun with, by arm.

    An evaluation of an older release records that of the arm ``model`` only.
    """
    model = settings.get("model") or {}
    old = model.get("adapter_sha256")
    return dict(model.get("adapters") or ({"model": old} if old else {}))


def other_weights(a: Mapping[str, str], b: Mapping[str, str]) -> list[str]:
    """Return the arms, of those in both ``a`` and ``b``, whose weights differ."""
    return [name for name in a if name in b and a[name] != b[name]]


def _at(config: Mapping[str, Any], key: str) -> Any:
    value: Any = config
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
