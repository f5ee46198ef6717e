"""Our tools in other people's loops: in the forms of OpenAI, Anthropic, LangChain and Pydantic AI."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, cast, get_args

from agent.errors import ConfigError
from memory import Memory
from memory.clean import text_of
from tools import MemoryTools, Tool, Toolbox, ToolCall, ToolContext, ToolResult

Form = Literal["openai", "anthropic", "langchain", "pydantic_ai"]

REMEMBERING = ("recall", "remember", "ask_graph", "tell")
"""Memory tools that make sense without a world to act in."""


def tools_for(
    form: Form, memory: Memory | None = None, names: Sequence[str] = REMEMBERING, plugins: Iterable[Tool] = ()
) -> Any:
    """Return memory tools, and tools of your own, as another loop takes them.

    Calls are checked and run as in our own loop: what does not fit the schema, fails or hangs becomes words for the
    model, not an exception.

    Args:
        form: ``openai`` gives :class:`OpenAITools`, ``anthropic`` :class:`AnthropicTools`, ``langchain`` a list of
            ``langchain_core.tools.StructuredTool``, ``pydantic_ai`` a list of ``pydantic_ai.Tool``.
        memory: The memory.
        names: Names of the memory tools.
        plugins: Tools of your own.

    Raises:
        ConfigError: There is no such form, its package is not installed, or there is no tool.
        UnknownToolError: A name is not that of a memory tool.
    """
    if form not in get_args(Form):
        raise ConfigError(f"tools_for takes {', '.join(get_args(Form))}, got {form!r}")
    own = MemoryTools(memory).select([*names]) if memory is not None else []
    box = Toolbox([*own, *plugins])
    box.context = ToolContext(memory=memory)
    if not box.names:
        raise ConfigError("tools_for has no tool: give a memory, or plugins=")
    return in_form(form, box)


def in_form(form: Form, box: Toolbox) -> Any:
    """Return the tools of a toolbox in a form, see :func:`tools_for`."""
    made: dict[str, Callable[[Toolbox], Any]] = {
        "openai": OpenAITools,
        "anthropic": AnthropicTools,
        "langchain": _langchain,
        "pydantic_ai": _pydantic_ai,
    }
    return made[form](box)


def _run(box: Toolbox, name: str, arguments: Any) -> ToolResult:
    """Run a call as a server wrote it: arguments are a mapping, or JSON."""
    try:
        given = json.loads(arguments or "{}") if isinstance(arguments, str) else arguments
        given = {} if given is None else given
    except (ValueError, RecursionError) as error:
        return ToolResult.invalid(f"the arguments of {name} are no JSON: {text_of(error)}")
    if not isinstance(given, Mapping):
        return ToolResult.invalid(f"the arguments of {name} are {type(given).__name__}: expected an object")
    return box.dispatch(ToolCall.model_construct(name=str(name), arguments=dict(given)))


def _words(result: ToolResult) -> str:
    return result.text if result.status == "ok" else f"{result.status}: {result.text}"


class OpenAITools:
    """Tools for loops around OpenAI's chat API, and servers that speak it.

    Args:
        box: The tools.

    Attributes:
        tools: What goes into ``tools=``.
    """

    def __init__(self, box: Toolbox) -> None:
        self._box = box
        self.tools: list[dict[str, Any]] = [spec.openai() for spec in box.specs()]

    def call(self, tool_call: Any) -> dict[str, Any]:
        """Run one of ``message.tool_calls`` (an object of the SDK, or a dictionary); return the message to append."""
        given = tool_call if isinstance(tool_call, Mapping) else tool_call.model_dump()
        found = given.get("function")
        function: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
        result = _run(self._box, function.get("name", ""), function.get("arguments"))
        return {"role": "tool", "tool_call_id": given.get("id"), "content": _words(result)}


class AnthropicTools:
    """Tools for loops around Anthropic's messages API.

    Args:
        box: The tools.

    Attributes:
        tools: What goes into ``tools=``.
    """

    def __init__(self, box: Toolbox) -> None:
        self._box = box
        self.tools: list[dict[str, Any]] = [
            {"name": spec.name, "description": spec.description, "input_schema": dict(spec.parameters)}
            for spec in box.specs()
        ]

    def call(self, block: Any) -> dict[str, Any]:
        """Run a ``tool_use`` block (an object of the SDK, or a dictionary); return the ``tool_result`` block."""
        given = block if isinstance(block, Mapping) else block.model_dump()
        result = _run(self._box, given.get("name", ""), given.get("input"))
        answer = {"type": "tool_result", "tool_use_id": given.get("id"), "content": _words(result)}
        return answer if result.status == "ok" else answer | {"is_error": True}


def _langchain(box: Toolbox) -> list[Any]:
    try:
        from langchain_core.tools import StructuredTool
    except ImportError as error:
        raise ConfigError("tools_for('langchain') needs LangChain: pip install langchain-core") from error

    def made(name: str) -> Callable[..., str]:
        return lambda **given: _words(_run(box, name, given))

    return [
        StructuredTool.from_function(
            made(spec.name), name=spec.name, description=spec.description, args_schema=dict(spec.parameters)
        )
        for spec in box.specs()
    ]


def _pydantic_ai(box: Toolbox) -> list[Any]:
    try:
        from pydantic_ai import ModelRetry
        from pydantic_ai import Tool as PydanticTool
    except ImportError as error:
        raise ConfigError("tools_for('pydantic_ai') needs Pydantic AI: pip install pydantic-ai-slim") from error

    def made(name: str) -> Callable[..., str]:
        def call(**given: Any) -> str:
            result = _run(box, name, given)
            if result.status == "invalid":
                raise ModelRetry(result.text)
            return _words(result)

        return call

    return [
        cast(Any, PydanticTool).from_schema(
            made(spec.name), name=spec.name, description=spec.description, json_schema=dict(spec.parameters)
        )
        for spec in box.specs()
    ]
