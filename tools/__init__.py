"""A typed function becomes a tool; a toolbox validates and runs the calls."""

from tools.errors import ToolError, ToolSchemaError, UnknownToolError
from tools.memory_tools import MemoryTools
from tools.tool import Tool, tool
from tools.toolbox import Toolbox
from tools.types import ToolCall, ToolResult, ToolSpec

__all__ = [
    "MemoryTools", "Tool", "ToolCall", "ToolError", "ToolResult", "ToolSchemaError", "ToolSpec", "Toolbox",
    "UnknownToolError", "tool",
]  # fmt: skip
