"""A typed function becomes a tool."""

import functools
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Annotated, Any, overload

from pydantic import BaseModel, TypeAdapter, ValidationError

from memory.clean import clean_text, text_of
from tools.errors import ToolArgumentError, ToolError, ToolSchemaError
from tools.schema import narrowed, parameters_model, parameters_schema
from tools.types import ToolResult, ToolSpec

DEFAULT_TIMEOUT = 5.0
MAX_CHOICES = 64
"""With more choices than this, an argument is left free: the grammar would cost more than it gains."""

MAX_SHORT = 64
"""Most values of an argument that the answer to an invalid call lists."""

MAX_KNOWN = 10_000
"""Greatest number of values of choices that a tool remembers as valid or not."""

Choices = Callable[..., Sequence[Any]]
When = Callable[..., bool]


@dataclass(frozen=True)
class Tool:
    """A function with a name, a one-line description and a schema for its arguments.

    Made by :func:`tool`. On a class it binds like a method, so one object can offer several tools
    that share its state.

    Attributes:
        name: What the model calls it.
        description: First line of the docstring.
        function: What runs. It returns a :class:`ToolResult`, or anything else to be told as text.
        model: Pydantic model of the arguments.
        schema: JSON schema of the arguments.
        choices: For a string argument, a function that lists what exists now.
        timeout: Seconds before a call counts as failed.
        when: Tells whether the tool is offered now; by default it always is.
        extractive: String arguments for which a grammar-constrained model may use only words in the window.
        taken: Whether values of choices are valid, as far as that was looked at.
    """

    name: str
    description: str
    function: Callable[..., Any]
    model: type[BaseModel]
    schema: Mapping[str, Any] = field(repr=False)
    choices: Mapping[str, Choices] = field(default_factory=dict)
    timeout: float = DEFAULT_TIMEOUT
    when: When | None = None
    extractive: Sequence[str] = ()
    taken: dict[tuple[str, type, Any], bool] = field(default_factory=dict, repr=False, compare=False)

    def __get__(self, instance: object, owner: type | None = None) -> "Tool":
        """Bind to an object, as a method does."""
        if instance is None:
            return self
        return replace(
            self,
            function=functools.partial(self.function, instance),
            choices={name: functools.partial(listing, instance) for name, listing in self.choices.items()},
            when=self.when and functools.partial(self.when, instance),
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function as it is, with arguments that were checked and converted as the model's are.

        Raises:
            ToolArgumentError: An argument is missing, unknown or of another type than the signature says.
        """
        names = [field.alias or name for name, field in self.model.model_fields.items()]
        method = "self" not in names and next(iter(inspect.signature(self.function).parameters), "") == "self"
        owner, given = args[:method], args[method:]
        if method and not owner:
            raise ToolArgumentError(f"{self.name} is a method: call it on an object, or give one first")
        if len(given) > len(names):
            raise ToolArgumentError(f"{self.name} takes {len(names)} arguments, got {len(given)}")
        if twice := set(names[: len(given)]) & set(kwargs):
            raise ToolArgumentError(f"{self.name}: {', '.join(sorted(twice))} given twice")
        checked = self.validate(dict(zip(names, given, strict=False)) | kwargs)
        if isinstance(checked, ToolResult):
            raise ToolArgumentError(checked.text)
        return self.function(*owner, **checked)

    def spec(self) -> ToolSpec:
        """Return the tool as the prompt describes it once, without the choices of the moment."""
        return ToolSpec(self.name, self.description, self.schema, tuple(self.extractive))

    def offer(self) -> ToolSpec | None:
        """Return the tool as it can be called now; ``None`` if it is not offered or an argument has no choices."""
        if self.when is not None and not self._asked("when=", self.when):
            return None
        allowed: dict[str, list[Any]] = {}
        for name, listing in self.choices.items():
            values: list[Any] = []
            for value in dict.fromkeys(map(_plain, self._asked(f"choices for {name!r}", listing))):
                if len(values) <= MAX_CHOICES and self._takes(name, value):
                    values.append(value)
            if not values:
                return None
            if len(values) <= MAX_CHOICES:
                allowed[name] = values
        free = tuple(name for name in self.extractive if name not in allowed)
        return ToolSpec(self.name, self.description, narrowed(self.schema, allowed), free)

    def _asked(self, what: str, function: Callable[..., Any]) -> Any:
        """Return what a function of the tool writer says.

        Raises:
            ToolError: It raised, or choices are no list.
        """
        try:
            answer = function()
            return [*answer] if what.startswith("choices") else bool(answer)
        except Exception as error:  # the boundary: it may raise anything
            raise ToolError(f"tool {self.name!r}: {what} raised {type(error).__name__}: {text_of(error)}") from error

    def _takes(self, name: str, value: Any) -> bool:
        """Return whether an argument may have a value, so that no choice is offered and then refused."""
        if value == "" or not isinstance(value, str | int | float | bool):
            return False
        known: dict[tuple[str, type, Any], bool] = self.taken
        key = (name, type(value), value)
        if key not in known:
            if len(known) > MAX_KNOWN:
                known.clear()
            limit = self.schema["properties"][name].get("maxLength", math.inf)
            try:
                _argument(self.model, name).validate_python(value)
                known[key] = not isinstance(value, str) or len(value) <= limit
            except ValidationError:
                known[key] = False
        return known[key]

    def signature(self) -> str:
        """Return name and arguments in words, as an invalid call is answered: ``recall(cue: string)``."""
        expected = ", ".join(f"{name}: {_short(s)}" for name, s in self.schema["properties"].items())
        return f"{self.name}({expected})"

    def validate(self, arguments: Mapping[str, Any]) -> dict[str, Any] | ToolResult:
        """Return checked arguments, or an ``invalid`` result that says what was expected."""
        try:
            checked = self.model.model_validate(dict(arguments))
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, e['loc'])) or 'arguments'}: {_lower(e['msg'])}" for e in error.errors()
            )
            return ToolResult.invalid(f"{self.signature()} expected; {problems}")
        except Exception as error:  # the boundary: a validator may raise anything
            return ToolResult.invalid(f"{self.name}: its arguments were refused: {text_of(error)}")
        return {field.alias or name: getattr(checked, name) for name, field in type(checked).model_fields.items()}


def _lower(words: str) -> str:
    """Return a sentence with a small first letter, and all values in it as they are."""
    return words[:1].lower() + words[1:]


def _plain(value: Any) -> Any:
    """Return a choice as JSON has it: the value of a member of an enumeration, and clean text."""
    value = value.value if isinstance(value, Enum) else value
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, int | float | bool) and abs(value) < 2**63 else None


@functools.lru_cache(maxsize=1024)
def _argument(model: type[BaseModel], name: str) -> TypeAdapter[Any]:
    """Return what checks one argument of a model by itself."""
    field = next(one for one in model.model_fields.values() if (one.alias or "") == name)
    kind: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    return TypeAdapter(kind)


def _short(schema: Any) -> str:
    """Return what a schema allows in a word or a few; of a long list of values, the first."""
    if not isinstance(schema, Mapping):
        return "any"
    if "enum" not in schema:
        return str(schema.get("type", "any"))
    values = [str(value)[:40] for value in schema["enum"]]
    return "|".join(values if len(values) <= MAX_SHORT else [*values[:MAX_SHORT], "…"])


@overload
def tool(function: Callable[..., Any], /) -> Tool: ...
@overload
def tool(
    *,
    name: str | None = None,
    choices: Mapping[str, Choices] | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    when: When | None = None,
    extractive: Sequence[str] = (),
) -> Callable[[Callable[..., Any]], Tool]: ...


def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    choices: Mapping[str, Choices] | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    when: When | None = None,
    extractive: Sequence[str] = (),
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Make a tool of a typed function or method.

    Name, description, argument model and JSON schema come from the signature and the first line of
    the docstring. Works as ``@tool`` and as ``@tool(timeout=1.0)``.

    Args:
        function: The function.
        name: Name of the tool, if it is not the function's.
        choices: For a string argument, a function (on a class: a method) that lists what exists now.
        timeout: Seconds before a call counts as failed.
        when: A function (on a class: a method) that tells whether the tool is offered now.
        extractive: String arguments, such as names, for which a grammar-constrained model may use only words in the
            window, because small models misspell what they copy.

    Raises:
        ToolSchemaError: The function has no docstring, a parameter has no usable type, ``choices`` or ``extractive``
            names something that is not a parameter, or an extractive argument is not a string.
    """
    check_options(choices, timeout, when, extractive)
    make = functools.partial(_make, name=name, choices=choices or {}, timeout=timeout, when=when, extractive=extractive)
    return make if function is None else make(function)


def check_options(choices: Any, timeout: Any, when: Any, extractive: Any) -> None:
    """Raise if an option of :func:`tool` is of another type than it should be.

    Raises:
        ToolSchemaError: One is.
    """
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0:
        raise ToolSchemaError(f"timeout must be above 0 seconds, got {timeout!r}")
    if choices is not None and not (isinstance(choices, Mapping) and all(callable(one) for one in choices.values())):
        raise ToolSchemaError(f"choices= is a dict from arguments to functions that list values, got {choices!r}")
    if when is not None and not callable(when):
        raise ToolSchemaError(f"when= is a function that tells whether the tool is offered, got {when!r}")
    if not isinstance(extractive, str) and not (
        isinstance(extractive, Sequence) and all(isinstance(name, str) for name in extractive)
    ):
        raise ToolSchemaError(f"extractive= is a list of names of arguments, got {extractive!r}")


def _make(
    function: Callable[..., Any],
    *,
    name: str | None,
    choices: Mapping[str, Choices],
    timeout: float,
    when: When | None,
    extractive: Sequence[str],
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
    description = (inspect.getdoc(inner) or "").partition("\n")[0].strip().rstrip(".")
    if not description:
        raise ToolSchemaError(f"tool {title!r} needs a docstring: its first line is what the model reads")
    model = parameters_model(function, title)
    schema = parameters_schema(model, title)
    if unknown := set(choices) - set(schema["properties"]):
        raise ToolSchemaError(f"tool {title!r}: choices for {sorted(unknown)}, which it does not take")
    if whole := [n for n in choices if schema["properties"][n].get("type") in ("array", "object")]:
        raise ToolSchemaError(
            f"tool {title!r}: choices for {whole}, but choices are single values, not lists or objects"
        )
    if isinstance(extractive, str):
        raise ToolSchemaError(f"tool {title!r}: extractive={extractive!r} expected a list: extractive=[{extractive!r}]")
    strings = [argument for argument, node in schema["properties"].items() if node.get("type") == "string"]
    if unknown := set(extractive) - set(strings):
        raise ToolSchemaError(f"tool {title!r}: extractive {sorted(unknown)}, but its string arguments are {strings}")
    return Tool(title, description, function, model, schema, dict(choices), timeout, when, tuple(extractive))
