"""Errors of the tools package. A call never raises them; making a tool may."""


class ToolError(Exception):
    """Base of every error that the tools package raises on purpose."""


class ToolSchemaError(ToolError, TypeError):
    """A function can't become a tool; the message says which parameter and why."""


class UnknownToolError(ToolError, LookupError):
    """No tool has that name."""


class ToolArgumentError(ToolError, ValueError):
    """A tool was called directly with arguments that it does not take; the message says what was expected."""
