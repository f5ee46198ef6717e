"""Errors of the tools package. A call never raises them; making a tool may."""


class ToolError(Exception):
    """Base of every error that the tools package raises on purpose."""


class ToolSchemaError(ToolError, TypeError):
    """A function can't become a tool; the message says which parameter and why."""


class UnknownToolError(ToolError, LookupError):
    """No tool has that name."""
