"""One episode: a small language model with memories as tools."""

from typing import TYPE_CHECKING

import agent.shadows
import agent.threads  # noqa: F401 - before anything imports PyTorch
from memory.lazy import lazy

if TYPE_CHECKING:
    from agent.chat import Chat, Message
    from agent.episode_state import AgentConfig
    from agent.errors import AgentError, CatalogError, ConfigError, HashMismatchError, LogError, ModelError
    from agent.logs.events import End, Ending, Event
    from agent.logs.log import EventLog, read_events
    from agent.loop import Agent
    from agent.models.base import Decision, Model, Turn, Usage
    from agent.models.scripted import ScriptedModel
    from agent.other_loops import tools_for
else:
    _NAMES = {
        "chat": "Chat Message",
        "episode_state": "AgentConfig",
        "errors": "AgentError CatalogError ConfigError HashMismatchError LogError ModelError",
        "logs.events": "End Ending Event",
        "logs.log": "EventLog read_events",
        "loop": "Agent",
        "models.base": "Decision Model Turn Usage",
        "models.scripted": "ScriptedModel",
        "other_loops": "tools_for",
    }
    __getattr__ = lazy(__name__, _NAMES)

__all__ = [
    "Agent", "AgentConfig", "AgentError", "CatalogError", "Chat", "ConfigError", "Decision", "End", "Ending",
    "Event", "EventLog", "HashMismatchError", "LogError", "Message", "Model", "ModelError", "ScriptedModel",
    "Turn", "Usage", "read_events", "tools_for",
]  # fmt: skip
