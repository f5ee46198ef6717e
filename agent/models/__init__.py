"""Models behind one Protocol: local weights, an OpenAI-compatible server, a script."""

from agent.models.base import Decision, Model, Turn, Usage
from agent.models.scripted import ScriptedModel

__all__ = ["Decision", "Model", "ScriptedModel", "Turn", "Usage"]
