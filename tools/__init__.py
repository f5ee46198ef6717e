"""A typed function becomes a tool; a toolbox validates and runs the calls."""

import tools.neighbours  # noqa: F401 - refuses to go on where another file hides the package memory
from tools.context import ToolContext
from tools.decorator import tool
from tools.errors import ToolArgumentError, ToolError, ToolSchemaError, UnknownToolError
from tools.memory_tools import MemoryTools
from tools.policy import CallPolicy
from tools.tool import Tool
from tools.toolbox import Toolbox
from tools.types import ToolCall, ToolResult, ToolSpec

__all__ = [
    "CallPolicy",
    "MemoryTools",
    "Tool",
    "ToolArgumentError",
    "ToolCall",
    "ToolContext",
    "ToolError",
    "ToolResult",
    "ToolSchemaError",
    "ToolSpec",
    "Toolbox",
    "UnknownToolError",
    "tool",
]
