"""A tool: a function with a name, a description and a schema for its arguments."""

import functools
import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Self

from memory.clean import clean_text, text_of
from tools.arguments import Arguments
from tools.context import ToolContext
from tools.errors import ToolArgumentError, ToolError, ToolSchemaError
from tools.policy import CallPolicy
from tools.schema import narrowed
from tools.types import ToolResult, ToolSpec

MAX_CHOICES = 64
"""With more choices than this, an argument is left free: the grammar would cost more than it gains."""

MAX_SHORT = 64
"""Most values of an argument that the answer to an invalid call lists."""

MAX_KNOWN = 10_000
"""Greatest number of values of choices that a tool remembers as valid or not."""

MAX_NAME = 64

UNTRUSTED = "[untrusted] "
"""What stands before the description of a tool that nobody vouches for."""

MAX_DESCRIPTION = 200
"""Longest description of a tool of others, in characters: a small model reads all of them at every step."""

Choices = Callable[..., Sequence[Any]]
When = Callable[..., bool]


@dataclass(frozen=True)
class Tool:
    """A function with a name, a one-line description and a schema for its arguments.

    Made by :func:`tool` or by :meth:`from_schema`. On a class it binds like a method, so one object can offer several
    tools that share its state.

    Attributes:
        name: What the model calls it.
        description: First line of the docstring.
        function: What runs. It returns a :class:`ToolResult`, or anything else to be told as text.
        arguments: What checks the arguments.
        schema: JSON schema of the arguments.
        choices: For a string argument, a function that lists what exists now.
        policy: How its calls are run.
        when: Tells whether the tool is offered now; by default it always is.
        extractive: String arguments for which a grammar-constrained model may use only words in the window.
        injected: Name of the parameter that gets the :class:`~tools.ToolContext`; empty if none does.
        trusted: Whether its description comes from somebody who is trusted; that of a server does not.
        original: Its name where it comes from, which may have dots and dashes; empty if it is the same.
        taken: Whether values of choices are valid, as far as that was looked at.
    """

    name: str
    description: str
    function: Callable[..., Any]
    arguments: Arguments
    schema: Mapping[str, Any] = field(repr=False)
    choices: Mapping[str, Choices] = field(default_factory=dict)
    policy: CallPolicy = field(default_factory=CallPolicy)
    when: When | None = None
    extractive: Sequence[str] = ()
    injected: str = ""
    trusted: bool = True
    original: str = ""
    taken: dict[tuple[str, type, Any], bool] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_schema(
        cls,
        name: str,
        description: str,
        schema: Mapping[str, Any],
        call: Callable[[dict[str, Any]], Any],
        *,
        policy: CallPolicy | None = None,
        trusted: bool = True,
    ) -> Self:
        """Make a tool of a JSON schema, as MCP servers and catalogues give them.

        Args:
            name: Its name; what the model writes has an underscore for every sign that is no letter or digit.
            description: What it does; the model reads the first line, at most :data:`MAX_DESCRIPTION` characters.
            schema: JSON schema (2020-12) of its arguments, an object.
            call: Runs it with the arguments; gives a :class:`~tools.ToolResult`, or anything else to be told as text.
            policy: How its calls are run.
            trusted: Whether you vouch for its description; else it is shown as untrusted.

        Raises:
            ToolSchemaError: The schema is none, is not that of an object, or can't be generated under a grammar.
        """
        from tools.foreign import SchemaArguments  # not above: it takes a while to import

        plain = plain_name(name)
        if len(plain) > MAX_NAME:
            raise ToolSchemaError(f"tool {plain[:MAX_NAME]!r}…: its name has more than {MAX_NAME} characters")
        if policy is not None and policy.process:
            raise ToolSchemaError(f"tool {plain!r}: process= is for typed functions, not for tools of a schema")
        arguments = SchemaArguments(name, schema)
        lines = clean_text(description).strip().splitlines() or [plain]
        first = lines[0].strip().rstrip(".")

        def function(**given: Any) -> Any:
            return call(given)

        return cls(
            plain,
            first if len(first) <= MAX_DESCRIPTION else f"{first[:MAX_DESCRIPTION]}…",
            function,
            arguments,
            arguments.tidy,
            policy=policy or CallPolicy(),
            trusted=trusted,
            original=name if name != plain else "",
        )

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

        A parameter for the context gets an empty one, unless it is given by name.

        Raises:
            ToolArgumentError: An argument is missing, unknown or of another type than the signature says.
        """
        names = self.arguments.names
        method = "self" not in names and next(iter(inspect.signature(self.function).parameters), "") == "self"
        owner, given = args[:method], args[method:]
        if method and not owner:
            raise ToolArgumentError(f"{self.name} is a method: call it on an object, or give one first")
        if len(given) > len(names):
            raise ToolArgumentError(f"{self.name} takes {len(names)} arguments, got {len(given)}")
        if twice := set(names[: len(given)]) & set(kwargs):
            raise ToolArgumentError(f"{self.name}: {', '.join(sorted(twice))} given twice")
        context = {self.injected: kwargs.pop(self.injected, None) or ToolContext()} if self.injected else {}
        checked = self.validate(dict(zip(names, given, strict=False)) | kwargs)
        if isinstance(checked, ToolResult):
            raise ToolArgumentError(checked.text)
        return self.function(*owner, **checked, **context)

    def spec(self) -> ToolSpec:
        """Return the tool as the prompt describes it once, without the choices of the moment."""
        return self._spec(self.schema, tuple(self.extractive))

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
        return self._spec(narrowed(self.schema, allowed), free)

    def _spec(self, schema: Mapping[str, Any], extractive: tuple[str, ...]) -> ToolSpec:
        mark = "" if self.trusted else UNTRUSTED
        return ToolSpec(self.name, f"{mark}{self.description}", schema, extractive)

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
            short = not isinstance(value, str) or len(value) <= limit
            known[key] = short and self.arguments.takes(name, value)
        return known[key]

    def signature(self) -> str:
        """Return name and arguments in words, as an invalid call is answered: ``recall(cue: string)``."""
        expected = ", ".join(f"{name}: {_short(s)}" for name, s in self.schema["properties"].items())
        return f"{self.name}({expected})"

    def validate(self, arguments: Mapping[str, Any]) -> dict[str, Any] | ToolResult:
        """Return checked arguments, or an ``invalid`` result that says what was expected."""
        try:
            return self.arguments.check(arguments)
        except ToolArgumentError as error:
            return ToolResult.invalid(f"{self.signature()} expected; {error}")
        except Exception as error:  # the boundary: a validator may raise anything
            return ToolResult.invalid(f"{self.name}: its arguments can't be checked: {text_of(error)}")


def plain_name(name: str) -> str:
    """Return a name as a model writes it: an underscore for every sign that is no letter or digit."""
    plain = re.sub(r"\W+", "_", clean_text(name), flags=re.ASCII).strip("_")
    return f"tool_{plain}" if not plain or plain[0].isdigit() else plain


def _plain(value: Any) -> Any:
    """Return a choice as JSON has it: the value of a member of an enumeration, and clean text."""
    value = value.value if isinstance(value, Enum) else value
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, int | float | bool) and abs(value) < 2**63 else None


def _short(schema: Any) -> str:
    """Return what a schema allows in a word or a few; of a long list of values, the first."""
    if not isinstance(schema, Mapping):
        return "any"
    if "enum" not in schema:
        return str(schema.get("type", "any"))
    values = [str(value)[:40] for value in schema["enum"]]
    return "|".join(values if len(values) <= MAX_SHORT else [*values[:MAX_SHORT], "…"])
