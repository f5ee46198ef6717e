"""The prompts: Jinja2 templates of the system message, of a turn, and of chats with tools."""

from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template

_ENVIRONMENT = Environment(undefined=StrictUndefined, keep_trailing_newline=False, autoescape=False)


def template(name: str) -> str:
    """Return the text of one of our templates, for example ``system.j2`` or ``chat/chatml.jinja``."""
    return (files("agent") / "prompts" / name).read_text(encoding="utf-8")


def compiled(name: str) -> Template:
    """Return one of our templates, ready to be rendered; an undefined variable raises."""
    return _ENVIRONMENT.from_string(template(name))
