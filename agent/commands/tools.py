"""``hippo tools``: begins, lists, shows, checks, calls and exports tools."""

import json
import keyword
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from jinja2 import Environment, StrictUndefined
from rich.console import Console
from rich.table import Table

from agent.commands.console import BAD_INPUT, Json, emit, plain_errors
from agent.errors import ConfigError
from memory import HashingEmbedder, Memory
from tools import MemoryTools, Tool, Toolbox, ToolCall, ToolContext, ToolError, ToolSpec
from tools.mcp_tools import mcp_tools
from tools.plugins import installed, load, load_all
from tools.toolbox import tools_of, unknown

app = typer.Typer(help="Tools: begin a new one, list, show, check, call, export.")

Paths = Annotated[
    list[str] | None,
    typer.Argument(help="Your own tools: file.py, module, module:tool, or a name that a package registered."),
]
Servers = Annotated[
    list[str] | None, typer.Option("--mcp", help="MCP server, a command line or an address; repeatable.")
]
Stored = Annotated[Path | None, typer.Option("--memory", help="Folder of a memory; an empty one by default.")]

OURS = frozenset({"agent", "envs", "eval", "memory", "tools", "training", "configs"})

HOME = "memory"
"""Where the tools of the memory come from, as lists say it."""


@app.callback(invoke_without_command=True)
def group(context: typer.Context) -> None:
    """Begin, list, show, check, call and export tools; without a word more, list those of the memory."""
    if context.invoked_subcommand is None:
        list_tools()


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Name of the tool: letters, digits and _.")],
    folder: Annotated[Path, typer.Option("--in", help="Where its file and its test are written.")] = Path(),
) -> None:
    """Write the file of a new tool, and a test that passes."""
    with plain_errors():
        if not name.isidentifier() or not name.isascii() or name.startswith("_") or keyword.iskeyword(name):
            raise ConfigError(f"{name!r} can't be the name of a tool: expected letters, digits and _, as open_door")
        if name in OURS or name in sys.stdlib_module_names:
            raise ConfigError(f"a file {name}.py would hide a package called {name}: choose another name")
        if name in {tool.name for tool in tools_of(MemoryTools)}:
            raise ConfigError(f"there is a tool {name} of the memory already: choose another name")
        made = {folder / f"{name}.py": "new_tool.j2", folder / f"test_{name}.py": "new_test.j2"}
        if there := next((path for path in made if path.exists()), None):
            raise ConfigError(f"{there} is there already, and is not overwritten: choose another name")
        folder.mkdir(parents=True, exist_ok=True)
        environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
        for path, template in made.items():
            text = (files("agent") / "commands" / "templates" / template).read_text(encoding="utf-8")
            path.write_text(environment.from_string(text).render(name=name), encoding="utf-8")
        file, test = made
        print(f"{file}\n{test}")  # noqa: T201
        print(f"next: hippo tools check {file} · pytest {test} · hippo run 'plugins=[{file}]'")  # noqa: T201


@app.command("list")
def list_tools(paths: Paths = None, mcp: Servers = None, as_json: Json = False) -> None:
    """List tools, the line that a model reads of each; without a path those of the memory and of installed packages."""
    from agent.tool_check import length

    with plain_errors(), _found(paths or (), mcp or (), everything=True) as found:
        if as_json:
            emit([_about(tool, origin) | {"tokens": length(tool)[0]} for tool, origin in found])
            return
        for tool, _ in found:
            print(tool.spec().line())  # noqa: T201
        counts = [length(tool) for tool, _ in found]
        exact = "" if all(counted for _, counted in counts) else "about "
        told = f"{len(found)} tools, {exact}{sum(count for count, _ in counts)} tokens"
        untrusted = [tool.name for tool, _ in found if not tool.trusted]
        warned = f"; untrusted, as servers describe them: {', '.join(untrusted)}" if untrusted else ""
        print(f"{told}{warned}", file=sys.stderr)  # noqa: T201


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Name of a tool of the memory, file.py:tool, or a name in --mcp.")],
    mcp: Servers = None,
    as_json: Json = False,
) -> None:
    """Show all of one tool: its line, arguments, how it is called, where it comes from."""
    with plain_errors(), _found((), mcp or ()) as found:
        tool, origin = _one(name, found)
        about = _about(tool, origin)
        if as_json:
            emit(about)
            return
        print(tool.spec().line())  # noqa: T201
        table = Table(box=None, show_header=False, pad_edge=False)
        for argument, node in tool.schema["properties"].items():
            must = "required" if argument in tool.schema["required"] else f"default {json.dumps(node.get('default'))}"
            kind = {key: value for key, value in node.items() if key not in ("description", "default")}
            words = node.get("description", "not described")
            table.add_row(argument, must, words, json.dumps(kind, ensure_ascii=False))
        Console().print(table)
        for key in ("origin", "trusted", "called there", "timeout", "process", "idempotent", "retries", "side_effects"):
            if key in about:
                print(f"{key.replace('_', ' ')}: {about[key]}")  # noqa: T201


@app.command()
def check(paths: Paths = None, mcp: Servers = None, as_json: Json = False) -> None:
    """Check tools: schema, calls under the grammar, descriptions, examples of the docstring, length in tokens."""
    from agent.tool_check import check as checked

    with plain_errors(), _found(paths or (), mcp or (), everything=True) as found:
        findings = {tool.name: list(checked(tool)) for tool, _ in found}
    if as_json:
        emit(
            {
                name: [{"what": one.what, "level": one.level, "words": one.words} for one in those]
                for name, those in findings.items()
            }
        )
    else:
        for name, those in findings.items():
            print(name)  # noqa: T201
            for one in those:
                print(f"  {one.level:<5} {one.what}: {one.words}")  # noqa: T201
    if any(one.level == "wrong" for those in findings.values() for one in those):
        raise typer.Exit(1)


@app.command()
def call(
    name: Annotated[str, typer.Argument(help="Name of a tool of the memory, file.py:tool, or a name in --mcp.")],
    given: Annotated[list[str] | None, typer.Argument(help="Arguments as key=value; other than texts as JSON.")] = None,
    memory: Stored = None,
    mcp: Servers = None,
    as_json: Json = False,
) -> None:
    """Call a tool as a model would: its arguments are checked, and what it says is printed."""
    with plain_errors(), ExitStack() as stack:
        opened = stack.enter_context(_memory(memory)) if memory else None
        found = stack.enter_context(_found((), mcp or (), opened))
        tool, _ = _one(name, found)
        box = Toolbox([tool])
        box.context, box.report = ToolContext(memory=opened), _told
        made = ToolCall(name=tool.name, arguments=dict(_argument(tool, words) for words in given or ()))
        result = box.dispatch(made)
        if as_json:
            emit({"status": result.status, "text": result.text, "data": result.data})
        else:
            words = f"the world is stepped with {result.action!r}" if result.acts else result.text
            print(words, file=sys.stdout if result.status == "ok" else sys.stderr)
    if result.status != "ok":
        raise typer.Exit(BAD_INPUT if result.status == "invalid" else 1)


@app.command()
def export(
    paths: Paths = None,
    form: Annotated[
        Literal["openai", "mcp", "json-schema"], typer.Option("--format", help="Form of the tools.")
    ] = "openai",
    mcp: Servers = None,
) -> None:
    """Print tools as JSON for other programs: as OpenAI's and MCP's APIs list them, or as schemas by name."""
    with plain_errors(), _found(paths or (), mcp or (), everything=True) as found:
        specs = [tool.spec() for tool, _ in found]
        if form == "openai":
            made: Any = [spec.openai() for spec in specs]
        elif form == "mcp":
            made = [_mcp(spec, tool) for spec, (tool, _) in zip(specs, found, strict=True)]
        else:
            made = {spec.name: _schema(spec) for spec in specs}
        print(json.dumps(made, ensure_ascii=False, indent=1))  # noqa: T201


def _mcp(spec: ToolSpec, tool: Tool) -> dict[str, Any]:
    hints: dict[str, bool] = {"idempotentHint": tool.policy.idempotent}
    if tool.policy.side_effects:
        hints |= {"readOnlyHint": False, "openWorldHint": True}
    return {
        "name": spec.name,
        "description": spec.description,
        "inputSchema": dict(spec.parameters),
        "annotations": hints,
    }


def _schema(spec: ToolSpec) -> dict[str, Any]:
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": spec.name}
    return {**head, "description": spec.description, **spec.parameters}


@contextmanager
def _memory(path: Path | None) -> Iterator[Memory]:
    """Open a memory; an empty one without a path.

    Raises:
        ConfigError: There is none in the folder.
    """
    if path is None:
        with Memory.open(None, HashingEmbedder()) as memory:
            yield memory
        return
    if not (path.expanduser() / "memory.db").is_file():
        raise ConfigError(f"there is no memory in {path}: name the folder of a run's memory, or of `hippo mcp`")
    with Memory.open(path.expanduser()) as memory:
        yield memory


@contextmanager
def _found(
    paths: Sequence[str], servers: Sequence[str], memory: Memory | None = None, everything: bool = False
) -> Iterator[list[tuple[Tool, str]]]:
    """Give the tools that are named, each with where it comes from; without any name those of the memory.

    Args:
        paths: Files, modules and registered names.
        servers: MCP servers.
        memory: The memory whose tools are given.
        everything: Whether those that installed packages registered are given as well.
    """
    with ExitStack() as stack:
        found = [(tool, path) for path in paths for tool in load_all([path])]
        if servers:
            found += [(tool, "an MCP server") for tool in stack.enter_context(mcp_tools(servers))]
        if not found:
            opened = memory or stack.enter_context(_memory(None))
            found = [(tool, HOME) for tool in MemoryTools(opened).select()]
            for name in dict.fromkeys(entry.name for entry in installed()) if everything else ():
                try:
                    found += [(tool, name) for tool in load(name)]
                except ToolError as error:  # it is named, and does not stop the rest
                    print(f"left out: {error}", file=sys.stderr)  # noqa: T201
        Toolbox(tool for tool, _ in found)
        yield found


def _one(name: str, found: Sequence[tuple[Tool, str]]) -> tuple[Tool, str]:
    """Return the tool of a name among those found, or the only one that a path names.

    Raises:
        UnknownToolError: There is none.
        ConfigError: The path names several.
    """
    known = {tool.name: (tool, origin) for tool, origin in found}
    if name in known:
        return known[name]
    if not any(sign in name for sign in ":/.") and name not in {entry.name for entry in installed()}:
        raise ConfigError(f"{unknown('tool', name, known)}; one of your own is file.py:{name}")
    loaded = load(name)
    if len(loaded) > 1:
        raise ConfigError(f"{name} has several tools: name one, {name}:{loaded[0].name}")
    return loaded[0], name


def _argument(tool: Tool, words: str) -> tuple[str, Any]:
    """Return name and value of ``key=value``.

    Raises:
        ConfigError: There is no ``=``.
    """
    name, equals, value = words.partition("=")
    if not equals:
        raise ConfigError(f"arguments are given as key=value, got {words!r}: {tool.signature()}")
    node = tool.schema["properties"].get(name, {})
    if node.get("type") == "string" or all(isinstance(one, str) for one in node.get("enum", (0,))):
        return name, value
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _told(_name: str, done: float, words: str) -> None:
    print(f"{done:.0%} {words}", file=sys.stderr)  # noqa: T201


def _about(tool: Tool, origin: str) -> dict[str, Any]:
    """Return what there is to say of a tool, as JSON has it."""
    policy = tool.policy
    return {
        **tool.spec().openai()["function"],
        "origin": origin,
        "trusted": tool.trusted,
        **({"called there": tool.original} if tool.original else {}),
        "timeout": policy.timeout,
        "process": policy.process,
        "idempotent": policy.idempotent,
        "retries": policy.retries,
        "side_effects": policy.side_effects,
    }
