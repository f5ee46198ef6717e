"""The public surface as text: ``python -m tests.surface > tests/data/surface.txt`` after a change on purpose."""

import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

PACKAGES = (
    "memory", "memory.episodic", "memory.relational", "memory.spatial", "memory.procedural", "tools", "agent",
    "agent.policies", "agent.text_env", "agent.models.local", "envs", "training", "training.qlora",
    "eval.harness", "eval.suites",
)  # fmt: skip


def public(module: Any) -> list[str]:
    names = getattr(module, "__all__", None)
    if names is not None:
        return sorted(names)
    return sorted(
        n for n, v in vars(module).items() if not n.startswith("_") and getattr(v, "__module__", "") == module.__name__
    )


def signature(value: Any) -> str:
    """Parameters with their defaults; types are checked by mypy."""
    try:
        parameters = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return ""
    shown = [_plain(parameter) for parameter in parameters if parameter.name != "self"]
    return re.sub(r" at 0x[0-9a-f]+", "", str(inspect.Signature(shown)))


def _plain(parameter: inspect.Parameter) -> inspect.Parameter:
    default = sorted(parameter.default) if isinstance(parameter.default, frozenset) else parameter.default
    return parameter.replace(annotation=parameter.empty, default=default)


def lines() -> Iterator[str]:
    for package in PACKAGES:
        module = importlib.import_module(package)
        for name in public(module):
            value = getattr(module, name)
            kind = "class " if inspect.isclass(value) else ""
            yield f"{kind}{package}.{name}{signature(value) if callable(value) else ''}"
            if inspect.isclass(value) and value.__module__.split(".")[0] == package.split(".")[0]:
                for member, inner in sorted(vars(value).items()):
                    if not member.startswith("_") and (
                        callable(inner) or isinstance(inner, (property, classmethod, staticmethod))
                    ):
                        shown = "" if isinstance(inner, property) else signature(getattr(value, member))
                        yield f"    {member}{shown}"


if __name__ == "__main__":
    print("\n".join(lines()))
