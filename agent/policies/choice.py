"""The model that settings name."""

from pathlib import Path

from agent.config import RunConfig, load
from agent.errors import ConfigError
from agent.hub.missions import new_words
from agent.models.base import Model
from agent.models.scripted import ScriptedModel
from agent.policies.plugin import plugged_policy
from agent.policies.script import RandomCaller, Script


def make_model(config: RunConfig) -> Model:
    """Make the model that the configuration names."""
    choice = config.model
    if choice.kind == "endpoint":
        from agent.models.endpoint import EndpointModel

        return EndpointModel(choice)
    if choice.kind == "script":
        return ScriptedModel(Script(choice.macros), name="script")
    if choice.kind == "random":
        return ScriptedModel(RandomCaller(), name="random")
    if choice.kind == "plugin":
        return plugged_policy(choice.path)
    if choice.kind == "expert":
        raise ConfigError(
            "an expert needs its environment: use `hippo run model=expert`, or `hippo collect policy=expert`"
        )
    from agent.models.local import LocalModel

    return LocalModel(choice)


def named_model(name: str) -> Model:
    """Make the model with a name, as ``model=`` takes it: ``"hippo-135m"``, a folder, ``"my_policy.py:Follow"``.

    Raises:
        ConfigError: There is none of that name; the message gives the nearest.
        CatalogError: It is not on this machine.
    """
    return make_model(load([f"model={name}"]))


def unknown_words(model: Model, mission: str) -> str:
    """Return a sentence on the words of a mission that a model's adapter was not trained on, if there are any."""
    adapter = getattr(model, "adapter", None)
    if not isinstance(adapter, Path):
        return ""
    words = new_words(adapter, mission)
    return f"this mission has words that {adapter.name} was not trained on: {', '.join(words)}" if words else ""
