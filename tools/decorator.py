"""A typed function becomes a tool: the decorator ``@tool``."""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, overload

from tools.arguments import TypedArguments
from tools.docstrings import described
from tools.errors import ToolSchemaError
from tools.policy import DEFAULT_TIMEOUT, CallPolicy
from tools.schema import parameters_of, parameters_schema
from tools.tool import Choices, Tool, When


@overload
def tool(function: Callable[..., Any], /) -> Tool: ...
@overload
def tool(
    *,
    name: str | None = None,
    choices: Mapping[str, Choices] | None = None,
    when: When | None = None,
    extractive: Sequence[str] = (),
    timeout: float = DEFAULT_TIMEOUT,
    process: bool = False,
    idempotent: bool = False,
    retries: int = 0,
    side_effects: bool = False,
) -> Callable[[Callable[..., Any]], Tool]: ...


def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    choices: Mapping[str, Choices] | None = None,
    when: When | None = None,
    extractive: Sequence[str] = (),
    timeout: float = DEFAULT_TIMEOUT,
    process: bool = False,
    idempotent: bool = False,
    retries: int = 0,
    side_effects: bool = False,
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Make a tool of a typed function or method.

    Name, description, argument model and JSON schema come from the signature and the docstring: its first line
    describes the tool, what it says of parameters describes those that have no ``Field(description=...)``. A parameter
    of type :class:`~tools.ToolContext` gets the moment in which the tool is called, and is not in the schema. Works as
    ``@tool`` and as ``@tool(timeout=1.0)``.

    Args:
        function: The function.
        name: Name of the tool, if it is not the function's.
        choices: For a string argument, a function (on a class: a method) that lists what exists now.
        when: A function (on a class: a method) that tells whether the tool is offered now.
        extractive: String arguments, such as names, for which a grammar-constrained model may use only words in the
            window, because small models misspell what they copy.
        timeout: Seconds before a call counts as failed.
        process: Whether calls run in a process of their own, which is killed when time is up; for functions at the top
            of a module. Without it a call that hangs goes on in a thread.
        idempotent: Whether a second call with the same arguments changes nothing more.
        retries: How often a call that raised or ran out of time is tried again; idempotent tools only.
        side_effects: Whether a call changes something outside, such as sending a mail: it is not repeated when an
            episode is played again after an interruption, and macros don't make it.

    Raises:
        ToolSchemaError: The function has no docstring, a parameter has no usable type, ``choices`` or ``extractive``
            names something that is not a parameter, an extractive argument is not a string, or an option is of another
            kind than it should be.
    """
    policy = CallPolicy(timeout, process, idempotent, retries, side_effects)
    _check_options(choices, when, extractive)

    def make(function: Callable[..., Any]) -> Tool:
        return _make(function, name, choices or {}, when, tuple(extractive), policy)

    return make if function is None else make(function)


def _check_options(choices: Any, when: Any, extractive: Any) -> None:
    """Raise if an option of :func:`tool` is of another type than it should be.

    Raises:
        ToolSchemaError: One is.
    """
    if choices is not None and not (isinstance(choices, Mapping) and all(callable(one) for one in choices.values())):
        raise ToolSchemaError(f"choices= is a dict from arguments to functions that list values, got {choices!r}")
    if when is not None and not callable(when):
        raise ToolSchemaError(f"when= is a function that tells whether the tool is offered, got {when!r}")
    if isinstance(extractive, str):
        raise ToolSchemaError(f"extractive={extractive!r} expected a list: extractive=[{extractive!r}]")
    if not (isinstance(extractive, Sequence) and all(isinstance(name, str) for name in extractive)):
        raise ToolSchemaError(f"extractive= is a list of names of arguments, got {extractive!r}")


def _make(
    function: Callable[..., Any],
    name: str | None,
    choices: Mapping[str, Choices],
    when: When | None,
    extractive: tuple[str, ...],
    policy: CallPolicy,
) -> Tool:
    inner = function
    while isinstance(inner, functools.partial):
        inner = inner.func
    if not callable(inner):
        raise ToolSchemaError(f"@tool takes a function, got {inner!r}")
    title = str(name or getattr(inner, "__name__", type(inner).__name__.lower()))
    if isinstance(inner, Tool):
        raise ToolSchemaError(f"{inner.name!r} is a tool already")
    called = inner if inspect.isroutine(inner) else type(inner).__call__
    if inspect.isgeneratorfunction(called) or inspect.isasyncgenfunction(called):
        raise ToolSchemaError(f"tool {title!r} is a generator, whose result is not yet there: return a list instead")
    if not title.isidentifier():
        raise ToolSchemaError(f"tool name {title!r} must be a plain identifier")
    description, parameters = described(inner)
    if not description:
        raise ToolSchemaError(f"tool {title!r} needs a docstring: its first line is what the model reads")
    found = parameters_of(function, title, parameters)
    schema = parameters_schema(found.model, title)
    _check_named(title, schema["properties"], choices, extractive)
    if policy.process:
        _check_importable(title, function, found.injected)
    return Tool(
        title,
        description,
        function,
        TypedArguments(found.model),
        schema,
        dict(choices),
        policy,
        when,
        extractive,
        found.injected,
    )


def _check_named(
    title: str, properties: Mapping[str, Any], choices: Mapping[str, Choices], extractive: Sequence[str]
) -> None:
    """Raise if options name arguments that there are not, or that can't have them.

    Raises:
        ToolSchemaError: They do.
    """
    if unknown := set(choices) - set(properties):
        raise ToolSchemaError(f"tool {title!r}: choices for {sorted(unknown)}, which it does not take")
    if whole := [name for name in choices if properties[name].get("type") in ("array", "object")]:
        raise ToolSchemaError(
            f"tool {title!r}: choices for {whole}, but choices are single values, not lists or objects"
        )
    strings = [argument for argument, node in properties.items() if node.get("type") == "string"]
    if unknown := set(extractive) - set(strings):
        raise ToolSchemaError(f"tool {title!r}: extractive {sorted(unknown)}, but its string arguments are {strings}")


def _check_importable(title: str, function: Callable[..., Any], injected: str) -> None:
    """Raise if another process can't find a function, or would lack what it needs.

    Raises:
        ToolSchemaError: It can't.
    """
    if not inspect.isfunction(function) or "." in function.__qualname__:
        raise ToolSchemaError(f"tool {title!r}: process=True is for functions at the top of a module")
    if injected:
        raise ToolSchemaError(f"tool {title!r}: process=True has no {injected}: memory and world are in this process")
