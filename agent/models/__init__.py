"""Models behind one Protocol: local weights, an OpenAI-compatible server, a script."""

import logging

from agent.models.base import Decision, Model, Turn, Usage
from agent.models.scripted import ScriptedModel

__all__ = ["Decision", "Model", "ScriptedModel", "Turn", "Usage"]

logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(
    logging.ERROR
)  # it warns of a missing kernel that is not needed
