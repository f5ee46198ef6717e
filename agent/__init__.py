"""One episode: a small language model with memories as tools."""

import agent.shadows  # noqa: F401 - refuses to go on where another file hides one of the packages
from agent.chat import Chat, Message
from agent.episode_state import AgentConfig
from agent.errors import AgentError, CatalogError, ConfigError, HashMismatchError, LogError, ModelError
from agent.logs.events import End, Ending, Event
from agent.logs.log import EventLog, read_events
from agent.loop import Agent
from agent.models.base import Decision, Model, Turn, Usage
from agent.models.scripted import ScriptedModel

__all__ = [
    "Agent", "AgentConfig", "AgentError", "CatalogError", "Chat", "ConfigError", "Decision", "End", "Ending",
    "Event", "EventLog", "HashMismatchError", "LogError", "Message", "Model", "ModelError", "ScriptedModel",
    "Turn", "Usage", "read_events",
]  # fmt: skip
