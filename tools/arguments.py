"""The arguments of a tool: what checks them, and what becomes of them."""

import functools
from collections.abc import Mapping
from typing import Annotated, Any, Protocol

from pydantic import BaseModel, TypeAdapter, ValidationError

from tools.errors import ToolArgumentError


class Arguments(Protocol):
    """What checks the arguments of one tool."""

    @property
    def names(self) -> tuple[str, ...]:
        """Their names, in order."""
        ...

    def check(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments as the tool's function takes them.

        Raises:
            ToolArgumentError: They don't fit; the message says why.
        """
        ...

    def takes(self, name: str, value: Any) -> bool:
        """Return whether one argument may have a value."""
        ...


class TypedArguments:
    """Arguments that are checked and converted by a pydantic model.

    Args:
        model: The model; the names of arguments are its fields' aliases, or their names.
    """

    def __init__(self, model: type[BaseModel]) -> None:
        self.model = model
        self.names = tuple(field.alias or name for name, field in model.model_fields.items())

    def check(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments, converted.

        Raises:
            ToolArgumentError: They don't fit.
        """
        try:
            checked = self.model.model_validate(dict(given))
        except ValidationError as error:
            problems = (f"{'.'.join(map(str, e['loc'])) or 'arguments'}: {_lower(e['msg'])}" for e in error.errors())
            raise ToolArgumentError("; ".join(problems)) from error
        return {field.alias or name: getattr(checked, name) for name, field in type(checked).model_fields.items()}

    def takes(self, name: str, value: Any) -> bool:
        """Return whether one argument may have a value."""
        try:
            _argument(self.model, name).validate_python(value)
        except ValidationError:
            return False
        return True


def _lower(words: str) -> str:
    """Return a sentence with a small first letter, and all values in it as they are."""
    return words[:1].lower() + words[1:]


@functools.lru_cache(maxsize=1024)
def _argument(model: type[BaseModel], name: str) -> TypeAdapter[Any]:
    """Return what checks one argument of a model by itself."""
    field = next(one for key, one in model.model_fields.items() if (one.alias or key) == name)
    kind: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    return TypeAdapter(kind)
