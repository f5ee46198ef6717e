"""What stands beside an exported model: its card, its tools, the schema of its calls, and an Ollama model file."""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

from agent.chat import Chat
from agent.config import load_collect
from agent.errors import ConfigError
from agent.hub import catalog
from agent.logs.files import atomic_write
from agent.models.grammar import call_schema
from agent.text_env import action_tools_of
from envs import EnvError, make
from memory import HashingEmbedder, Memory
from tools import MemoryTools, Toolbox, ToolSpec
from training.card import words
from training.conversations import spec_of, tool_specs

TOOLS, SCHEMA, CARD, MODELFILE = "tools.json", "call.schema.json", "README.md", "Modelfile"


def tools_of(card: dict[str, Any], file: Path | None = None) -> list[ToolSpec]:
    """Return the tools that a model was trained with: those of a file, else those of the worlds and rows of its card.

    Args:
        card: The adapter's card.
        file: JSON list of tools in OpenAI's form.

    Raises:
        TrainConfigError: The file holds something else.
    """
    if file is not None:
        return list(tool_specs(file))
    found: dict[str, ToolSpec] = {}
    for source in card.get("sources", ()):
        kind, _, name = source.partition(":")
        if kind == "env":
            for spec in _of_world(name):
                found.setdefault(spec.name, spec)
    for spec in map(spec_of, card.get("data", {}).get("tools", ())):
        found.setdefault(spec.name, spec)
    return list(found.values())


def _of_world(name: str) -> Iterator[ToolSpec]:
    """Yield the tools of an agent in a world; none if the world is not installed here."""
    try:
        settings = load_collect([f"env={name}"])
        made = make(settings.env.id, **settings.env.kwargs)
    except (ConfigError, EnvError):
        return
    with closing(made) as env, Memory.open(None, HashingEmbedder()) as memory:
        env.reset(seed=0)
        own = MemoryTools(memory).select(settings.memory.tools or None)
        yield from Toolbox([*action_tools_of(env), *own]).specs()


def write_beside(
    out: Path, card: dict[str, Any], tools: Sequence[ToolSpec], base: str, chatml: bool = False
) -> list[Path]:
    """Write what servers and readers need beside an exported model; return the files.

    Args:
        out: The folder of safetensors, or the GGUF file; the latter's name begins the names of the files.
        card: The adapter's card.
        tools: The tools that it was trained with; without any, no schema is written.
        base: Name of the base model.
        chatml: Whether its chat template is ChatML, which an Ollama model file is written for.
    """
    gguf = out.is_file()
    place = {name: beside(out, name) if gguf else out / name for name in (TOOLS, SCHEMA, CARD, MODELFILE)}
    texts = {}
    if tools:
        texts[TOOLS] = json.dumps([spec.openai() for spec in tools], indent=1)
        texts[SCHEMA] = json.dumps(call_schema(tools), indent=1)
    if gguf and chatml:
        texts[MODELFILE] = _template("ollama.j2").render(weights=out.name)
    texts[CARD] = _template("model_card.j2").render(
        fields=_fields(base), base=base, gguf=gguf, name=out.name, stem=out.stem,
        about=words(card).strip() if card else f"# {out.stem}",
        tools=len(tools), tools_file=place[TOOLS].name, schema_file=place[SCHEMA].name,
        modelfile=place[MODELFILE].name if MODELFILE in texts else "",
        system=json.dumps(str(Chat("go to the red ball", ()).system()["content"])) if _played(card) else "",
        plain=bool(card.get("data", {}).get("tools")),
    )  # fmt: skip
    for name, text in texts.items():
        with atomic_write(place[name]) as file:
            file.write(text)
    return [place[name] for name in texts]


def _played(card: dict[str, Any]) -> bool:
    """Return whether a model was trained in a world, and not on rows of others alone."""
    return any(source.startswith("env:") for source in card.get("sources", ()))


def beside(out: Path, name: str) -> Path:
    """Return the path of a file that belongs to a GGUF file: ``model.tools.json`` of ``model.gguf``."""
    return out.with_name(f"{out.stem}.{name}")


def _fields(base: str) -> dict[str, str]:
    """Return the fields of a model card that the Hugging Face hub reads."""
    fields = {
        "library_name": "transformers", "pipeline_tag": "text-generation",
        "tags": "[tool-calling, agent, hippo-llm-memory]",
    }  # fmt: skip
    entry = catalog.BY_NAME.get(base)
    if entry is not None:
        fields["license"] = entry.license.lower()  # the base model's
        if isinstance(entry.source, catalog.Hub):
            fields["base_model"] = entry.source.repo
    return fields


@cache
def _template(name: str) -> Template:
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    return environment.from_string((files("training") / "templates" / name).read_text(encoding="utf-8"))
