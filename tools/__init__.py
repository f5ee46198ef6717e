"""A typed function becomes a tool; a toolbox validates and runs the calls."""

from typing import TYPE_CHECKING

import tools.neighbours  # noqa: F401 - refuses to go on where another file hides the package memory
from memory.lazy import lazy
from tools.context import ToolContext
from tools.errors import ToolArgumentError, ToolError, ToolSchemaError, UnknownToolError
from tools.memory_tools import MemoryTools
from tools.tool import Tool, tool
from tools.toolbox import Toolbox
from tools.types import ToolCall, ToolResult, ToolSpec

if TYPE_CHECKING:
    from tools.foreign import from_schema
else:
    __getattr__ = lazy(__name__, {"foreign": "from_schema"})

__all__ = [
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
    "from_schema",
    "tool",
]
