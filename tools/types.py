"""What goes into a tool and what comes out: calls, results, specifications."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Status = Literal["ok", "invalid", "failed"]
MAX_ECHO = 120

MAX_CALL = 64_000
"""Longest call as JSON, in characters."""


class ToolCall(BaseModel):
    """A request to run one tool, as a model writes it: ``{"name": ..., "arguments": {...}}``."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1)
    arguments: dict[str, Any] = Field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read one call from a model's words.

        Raises:
            ValueError: The text is not one JSON object with a name and arguments, or too long; nothing is guessed.
        """
        if len(text) > MAX_CALL:
            raise ValueError(f"a call has at most {MAX_CALL:,} characters, got {len(text):,}")
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            excerpt = text if len(text) <= MAX_ECHO else f"{text[:MAX_ECHO]}…"
            raise ValueError(f'expected {{"name": ..., "arguments": {{...}}}}, got {excerpt!r}') from error

    def text(self) -> str:
        """Return the call as compact JSON, the form that the grammar produces."""
        return json.dumps({"name": self.name, "arguments": self.arguments}, separators=(",", ":"), ensure_ascii=False)

    def __str__(self) -> str:
        """Return the call as it would be written in code: ``recall(cue='red ball')``."""
        return f"{self.name}({', '.join(f'{k}={v!r}' for k, v in self.arguments.items())})"


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The result of a call.

    Attributes:
        status: ``ok``; ``invalid`` when the call was malformed (the text says what was expected);
            ``failed`` when the call could not succeed, or the tool raised an error or ran out of time.
        text: What the model is told.
        data: The same for programs, if the tool gives it; must be JSON-serialisable.
        action: For an environment's action, the value to step it with; the loop does the step.
        acts: Whether the result is an environment's action.
        program: A run of several calls (:class:`~tools.macro_run.MacroRun`) for the loop to play; the outcome of
            the run then becomes the result.
    """

    status: Status
    text: str
    data: Any = None
    action: Any = None
    acts: bool = False
    program: Any = None

    @classmethod
    def ok(cls, text: str, data: Any = None) -> Self:
        """Return the result of a tool that did its work."""
        return cls("ok", text, data)

    @classmethod
    def act(cls, value: Any) -> Self:
        """Return a result that tells the loop to step the environment with ``value``."""
        return cls("ok", "", action=value, acts=True)

    @classmethod
    def invalid(cls, text: str) -> Self:
        """Return the result of a malformed call."""
        return cls("invalid", text)

    @classmethod
    def failed(cls, text: str) -> Self:
        """Return the result of a well-formed call that could not succeed."""
        return cls("failed", text)


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as a model sees it.

    Attributes:
        name: Its name.
        description: One line.
        parameters: JSON schema of the arguments: an object, ``$ref``-free,
            ``additionalProperties: false``, with the choices that exist now as ``enum``.
        extractive: Names of string arguments that may use only words in the window.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    extractive: tuple[str, ...] = ()

    def line(self) -> str:
        """Return the tool in one line, as our chat templates list it.

        ``post(to, day="today", note?): Send a letter. to: who gets it``: an argument with a default shows it, another
        that may be left out has a question mark, those with a description follow.
        """
        required = self.parameters.get("required")
        shown, told = [], []
        for name, node in self.parameters.get("properties", {}).items():
            about = node if isinstance(node, Mapping) else {}
            if about.get("default") is not None:
                shown.append(f"{name}={json.dumps(about['default'], ensure_ascii=False)}")
            else:
                shown.append(name if required is None or name in required else f"{name}?")
            if about.get("description"):
                told.append(f"{name}: {about['description']}")
        ending = ". " + "; ".join(told) if told else ""
        return f"{self.name}({', '.join(shown)}): {self.description}{ending}"

    def openai(self) -> dict[str, Any]:
        """Return the specification in OpenAI's function format."""
        return {
            "type": "function",
            "function": {
                "name": self.name,
                "description": self.description,
                "parameters": dict(self.parameters),
            },
        }
