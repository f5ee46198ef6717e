"""Settings of a run: composed by Hydra from ``configs/``, checked by pydantic."""

import re
from collections.abc import Container, Iterable, Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from agent.episode_state import AgentConfig
from agent.errors import ConfigError
from agent.models.endpoint import EndpointConfig
from agent.models.local_config import LocalModelConfig
from memory.episodic import RecallConfig, Retention, WriteGate
from memory.nearest import did_you_mean
from memory.registered import names
from memory.relational import Routing
from memory.spatial import SpatialConfig
from tools.plugins import split_path

ENVS, MODELS = "hippo.envs", "hippo.models"
"""Groups of entry points with which installed packages offer worlds and models."""

GROUPS = ("model", "memory", "env", "experiment", "lora", "train", "data")


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LocalChoice(LocalModelConfig):
    """A model on this machine."""

    kind: Literal["local"] = "local"


class EndpointChoice(EndpointConfig):
    """A model on a server."""

    kind: Literal["endpoint"] = "endpoint"


class ScriptChoice(_Settings):
    """No model: a script that asks the map for routes and follows them."""

    kind: Literal["script"] = "script"
    macros: bool = Field(False, description="Whether the script runs macros where they fit.")


class ExpertChoice(_Settings):
    """No model: the environment's expert."""

    kind: Literal["expert"] = "expert"


class RandomChoice(_Settings):
    """No model: a policy that calls a random offered tool; its seed is the episode's seed."""

    kind: Literal["random"] = "random"


class PluginChoice(_Settings):
    """A policy or a model of the user's own."""

    kind: Literal["plugin"] = "plugin"
    path: str = Field(
        description="module:name, file.py:name, or a name in the group hippo.models; a class is made without arguments."
    )


class MemoryChoice(_Settings):
    """Settings of the memory, and the names of the memory tools to offer."""

    enabled: bool
    path: Path | None
    embedder: str = Field(description="minilm, hashing, or a name in the group hippo.embedders.")
    backend: str = Field("faiss", description="What searches the vectors: faiss, or a name in the group hippo.memory.")
    tools: list[str]
    macros: Path | None = Field(None, description="Folder of a memory whose macros are copied at the start.")
    gate: WriteGate
    gate_plugin: str | None = Field(None, description="A write gate of your own: module:name or file.py:name.")
    recall: RecallConfig
    retention: Retention
    routing: Routing
    spatial: SpatialConfig
    tuple_conf_min: float = Field(ge=0, le=1)


class EnvChoice(_Settings):
    """The environment and its settings."""

    id: str
    kwargs: dict[str, Any]


class RunConfig(_Settings):
    """All settings of ``hippo run``."""

    seed: int = Field(ge=0)
    episodes: int = Field(ge=1)
    model: Annotated[
        LocalChoice | EndpointChoice | ScriptChoice | RandomChoice | ExpertChoice | PluginChoice,
        Field(discriminator="kind"),
    ]
    memory: MemoryChoice
    env: EnvChoice
    agent: AgentConfig
    plugins: list[str]
    mcp: list[str] = Field([], description="MCP servers whose tools the agent gets: command lines or addresses.")
    runs: Path
    name: str | None


def _named(policy: str) -> str:
    """Check the name of a policy."""
    if policy not in POLICIES and not split_path(policy)[1]:
        raise ValueError(f"expected {', '.join(POLICIES)}, or one of your own as my_policy.py:Follow")
    return policy


POLICIES = ("expert", "model", "random")
Policy = Annotated[str, AfterValidator(_named)]
"""Who plays: one of :data:`POLICIES`, or a plugin."""


class CollectConfig(RunConfig):
    """All settings of ``hippo collect``: those of ``hippo run`` and some more."""

    policy: Policy
    split: Literal["train", "validation", "test"]
    workers: int | None = Field(
        ge=1, description="Number of processes; by default one for each core, or one with a model on a CPU."
    )
    batch: int = Field(ge=1, description="Worlds that the model plays side by side.")
    keep_memories: bool = Field(False, description="Whether to save a copy of the memory after each episode.")
    window: bool = Field(
        description="Whether experts see only what fits into the window of the model that model= names."
    )


_KINDS = frozenset({"local", "endpoint", "script", "random", "expert", "plugin"})

Config = TypeVar("Config", bound=BaseModel)


def load_collect(overrides: Sequence[str] = ()) -> CollectConfig:
    """Compose the settings of ``hippo collect``; see :func:`load`."""
    return compose_as(overrides, "collect", CollectConfig)


def load(overrides: Sequence[str] = ()) -> RunConfig:
    """Compose ``configs/`` with ``key=value`` overrides.

    ``env=<gymnasium id>`` and ``model=<folder>`` work as well as the names of the groups' files.

    Raises:
        ConfigError: An unknown key or choice, or a value out of range. The message is one line and, for an unknown
            name, gives the nearest known names.
    """
    return compose_as(overrides, "config", RunConfig)


def compose_as(overrides: Sequence[str], root: str, schema: type[Config]) -> Config:
    """Compose one of the root files of ``configs/`` with ``key=value`` overrides, and validate it.

    Args:
        overrides: Settings as ``key=value``.
        root: Name of the root file without its ending.
        schema: Pydantic model that validates the settings.

    Raises:
        ConfigError: An unknown key or choice, or a value out of range. The message is one line and, for an unknown
            name, gives the nearest known names.
    """
    folder = Path(str(files("configs")))
    listed, texts = ({*_settings_of(schema, kinds)} for kinds in ((list, tuple, set, frozenset), (str, Path)))
    expanded = [part for override in overrides for part in _expand(override, folder, listed, texts)]
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(version_base="1.3", config_dir=str(folder)):
            composed = compose(root, overrides=expanded)
        values = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(_explain(error, expanded, folder, root)) from error
    except Exception as error:  # Hydra's parser has errors of its own
        raise ConfigError(f"can't read the settings {' '.join(overrides)}: expected key=value") from error
    assert isinstance(values, dict)
    for name in ("experiment", "suite"):  # only `hippo eval` uses these: they are not settings of a run
        values.pop(name, None)
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"] if part not in _KINDS)
        if place == "memory.gate":
            words = f"memory.gate: expected one of your own as my_gate.py:Careful, got {problem['input']!r}"
            raise ConfigError(words) from error
        hint = f"; a list is written {place}=one,two or {place}=[one,two]" if place in listed else ""
        raise ConfigError(
            f"{place}: {problem['msg'][:1].lower()}{problem['msg'][1:]}, got {problem['input']!r}{hint}"
        ) from error


def choices(group: str) -> list[str]:
    """Return the names of a group's files, sorted."""
    return sorted(path.stem for path in (Path(str(files("configs"))) / group).glob("*.yaml"))


def _settings_of(schema: type[BaseModel], wanted: Container[Any], prefix: str = "") -> Iterator[str]:
    """Yield the dotted names of the settings of some types, also those of every choice of a group."""
    for name, item in schema.model_fields.items():
        for kind in _kinds(item.annotation):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from _settings_of(kind, wanted, f"{prefix}{name}.")
            elif (get_origin(kind) or kind) in wanted:
                yield f"{prefix}{name}"


def _kinds(annotation: Any) -> Iterator[Any]:
    """Yield the types that an annotation joins with ``|``, and the annotation itself."""
    if get_origin(annotation) in (Union, UnionType, Annotated):
        for part in get_args(annotation):
            yield from _kinds(part)
    else:
        yield annotation


def _expand(override: str, folder: Path, listed: Container[str] = (), texts: Container[str] = ()) -> list[str]:
    key, equals, value = override.partition("=")
    if not equals:
        raise ConfigError(f"expected key=value, got {override!r}; for example episodes=2")
    if key in GROUPS and not (folder / key / f"{value}.yaml").is_file() and value != "null":
        if key == "env" and (value.startswith("gym:") or "/" in value or "-v" in value):
            return ["env=gym", f"env.id={_quoted(value.removeprefix('gym:'))}"]
        if key == "env" and value in names(ENVS):
            return ["env=gym", f"env.id={_quoted(value)}"]
        if key == "model" and (split_path(value)[1] or value in names(MODELS)):
            return ["model=plugin", f"model.path={_quoted(value)}"]
        if key == "model" and ("/" in value or Path(value).expanduser().is_dir()):
            return ["model=local", f"model.name={_quoted(value)}"]
        own = f"; one of your own is {value}:NAME" if key == "model" and value.endswith(".py") else ""
        offered = names({"model": MODELS, "env": ENVS}[key]) if key in ("model", "env") else []
        raise ConfigError(f"unknown {key} {value!r}: {did_you_mean(value, [*choices(key), *offered])}{own}")
    if key == "memory.gate" and split_path(value)[1]:
        key = "memory.gate_plugin"
    if key in listed and value not in ("", "null") and value[:1] not in "[$'\"":
        return [f"{key}=[{','.join(_quoted(part.strip()) for part in value.split(','))}]"]
    number = key in texts and re.fullmatch(r"[\d_.+eE-]+|true|false|inf|nan", value, re.IGNORECASE) is not None
    return [f"{key}='{value}'" if number else f"{key}={_quoted(value)}"]


_PLAIN = re.compile(r"[A-Za-z0-9_./%@+-][A-Za-z0-9_./%@+:-]*|")


def _quoted(value: str) -> str:
    """Return a value as Hydra's grammar takes it: in quotes if it has signs that mean something there."""
    if value == "~" or value.startswith("~/"):
        value = str(Path(value).expanduser())
    closed = value[:1] not in ("'", '"') or (len(value) > 1 and value[-1] == value[0])
    if _PLAIN.fullmatch(value) or (value[:1] in "[{'\"" and closed) or "${" in value:
        return value
    escaped = re.sub(r"(\\*)('|$)", lambda match: match[1] * 2 + ("\\'" if match[2] else ""), value)
    return f"'{escaped}'"


def _explain(error: Exception, overrides: Sequence[str], folder: Path, root: str) -> str:
    """Return Hydra's error message, which has many lines, as one line."""
    if isinstance(error, MissingMandatoryValue):
        example = "name=mine" if error.full_key == "name" else "env=BabyAI-GoToLocal-v0"
        return f"{error.full_key} must be set: for example {example}"
    keys = set(_keys(folder, root, [o for o in overrides if o.partition("=")[0] in GROUPS]))
    for override in overrides:
        key = override.partition("=")[0].lstrip("+~")
        if key not in keys and key not in GROUPS:
            return f"unknown setting {key!r}: {did_you_mean(key, sorted(keys | set(GROUPS)))}"
    words = str(error).splitlines()
    return re.sub(r"\s+", " ", words[0] if words else type(error).__name__)


def _keys(folder: Path, root: str, groups: list[str]) -> Iterable[str]:
    """Yield every dotted key of the configuration that is composed with these choices of groups."""
    with initialize_config_dir(version_base="1.3", config_dir=str(folder)):
        composed = compose(root, overrides=groups)

    def walk(node: Any, prefix: str) -> Iterable[str]:
        for key, value in node.items():
            yield f"{prefix}{key}"
            if isinstance(value, dict):
                yield from walk(value, f"{prefix}{key}.")

    yield from walk(OmegaConf.to_container(composed), "")
