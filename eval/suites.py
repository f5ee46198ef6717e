"""Suites (worlds, arms, number of episodes) and arms (changes to the agent), read from ``configs/``.

A suite is the key ``suite`` of ``configs/experiment/NAME.yaml``; an arm is ``configs/arm/NAME.yaml``. Either may also
be a YAML file of your own.
"""

from collections.abc import Callable, Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, TypeVar, get_origin

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from yaml import YAMLError

from eval.errors import EvalError
from memory.nearest import did_you_mean
from tools import MemoryTools, Tool

Memories = Literal["own", "restored", "swapped", "shuffled", "random", "empty"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Arm(_Strict):
    """One variant of the agent, or another policy, that plays the worlds of a suite."""

    about: str = Field(description="Description in a few words.")
    policy: str = Field("model", description="model, script, random, expert, or a plugin: my_policy.py:Follow.")
    memory: bool = Field(True, description="Whether the arm has a memory.")
    without: tuple[str, ...] = Field((), description="Memory tools that are removed.")
    set: tuple[str, ...] = Field((), description="Settings of `hippo collect`.")
    memories: Memories = Field("own", description="Memory that a visit begins with; all but own are checks.")
    of: str = Field("model", description="Arm that kept these memories.")


class Task(_Strict):
    """One environment of a suite, with its limits."""

    env: str = Field(description="Environment, as for `hippo run env=`.")
    calls: int = Field(100, ge=1, description="Greatest number of decisions in an episode, for every arm.")
    set: tuple[str, ...] = Field((), description="Settings of `hippo collect`.")
    library: int = Field(0, ge=0, description="Episodes to mine macros from before the arms play.")


class Plan(_Strict):
    """The number of episodes, decided before any is played (Connor 1987, doi:10.2307/2531961)."""

    n: int = Field(ge=1, description="Counted episodes of each task.")
    difference: float = Field(gt=0, lt=1, description="Difference of success that the test should find.")
    discordant: float = Field(gt=0, le=1, description="Share of the episodes in which two arms are expected to differ.")


class Suite(_Strict):
    """Tasks, the arms that play them, and the number of episodes."""

    tasks: dict[str, Task] = Field(default_factory=dict)
    arms: tuple[str, ...] = Field(min_length=1)
    ablations: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    probes: tuple[Literal["cues", "schemas", "replay"], ...] = Field(
        (), description="Measurements of the memory alone."
    )
    guess: dict[str, float] = Field(default_factory=dict, description="Success by guessing, by kind of mission.")
    plan: Plan
    retrieval: bool = Field(False, description="Whether the arms are methods of retrieval, not agents.")

    @property
    def every(self) -> tuple[str, ...]:
        """All arms, including ablations and checks."""
        return (*self.arms, *self.ablations, *self.checks)


class EvalConfig(_Strict):
    """All settings of ``hippo eval``."""

    suite: str = Field(description="Name of an experiment, or a YAML file.")
    arms: tuple[str, ...] = Field((), description="Arms: names or YAML files; by default all arms of the suite.")
    n: int | None = Field(
        None, ge=1, le=1_000_000, description="Counted episodes of each task; the suite's plan by default."
    )
    model: str = Field("hippo-135m", description="Model, as for `hippo run model=`.")
    env: str | None = Field(None, description="For suite=custom: environment, as for `hippo run env=`.")
    set: tuple[str, ...] = Field((), description="Settings of `hippo collect`, for every arm.")
    plugins: tuple[str, ...] = Field((), description="Your own tools, as for `hippo run plugins=`, for every arm.")
    split: Literal["train", "validation", "test"] = "test"
    seed: int = Field(400_000, ge=0, description="First seed, counted from the split's first.")
    batch: int = Field(8, ge=1, description="Worlds that one process plays side by side.")
    processes: int = Field(1, ge=1, description="Processes that play at the same time.")
    runs: Path = Field(Path("runs/eval"), description="Folder of evaluations.")
    name: str | None = Field(None, pattern=r"^[\w.-]+$", description="Name of the folder; the same name resumes.")
    data: Path | None = Field(None, description="For suite=retrieval: folder of a public data set.")
    format: str = Field("hotpotqa", description="For suite=retrieval: format of that data set.")
    probes: bool = Field(False, description="Whether to run the probes of the memory too (minutes).")


Model = TypeVar("Model", bound=BaseModel)


def parse(overrides: Sequence[str]) -> EvalConfig:
    """Parse settings from ``key=value`` words.

    Raises:
        EvalError: A key is unknown, or a value is out of range.
    """
    known = list(EvalConfig.model_fields)
    for override in overrides:
        key, equals, _ = override.partition("=")
        if not equals:
            raise EvalError(f"expected key=value, got {override!r}; for example suite=courier")
        if key not in known:
            hint = f"; a setting of the run is set=[{override}]" if "." in key else ""
            raise EvalError(f"unknown setting {key!r}: {did_you_mean(key, known)}{hint}")
    if not any(override.startswith("suite=") for override in overrides):
        raise EvalError(f"which suite? for example suite=courier; there are {', '.join(suites())}")
    return _checked(EvalConfig, dict(_value(*override.split("=", 1)) for override in overrides), "")


def _value(key: str, text: str) -> tuple[str, Any]:
    """Return a setting and its value: a list may be written with commas, and a text or a path is taken as it is."""
    kind = EvalConfig.model_fields[key].annotation
    if get_origin(kind) is tuple:
        inner = text.strip().removeprefix("[").removesuffix("]")
        return key, [part.strip().strip("'\"") for part in inner.split(",") if part.strip()]
    if text == "null":
        return key, None
    if kind in (Path, Path | None):
        return key, Path(text).expanduser()
    return key, text


def suites() -> list[str]:
    """Return the names of the suites."""
    return sorted(path.stem for path in _folder("experiment").glob("*.yaml") if "suite:" in path.read_text())


def arms() -> list[str]:
    """Return the names of the arms."""
    return sorted(path.stem for path in _folder("arm").glob("*.yaml"))


def load_suite(name: str, env: str | None = None) -> Suite:
    """Load a suite by its name, or from a file.

    Args:
        name: Name or path.
        env: The environment, for a suite that names none.

    Raises:
        EvalError: There is no such suite, or its settings are not valid.
    """
    values = _read("suite", "experiment", name, suites)
    if not isinstance(values.get("suite"), dict):
        raise EvalError(f"{name} has no key `suite`: see `hippo eval --help`")
    suite = _checked(Suite, values["suite"], f"suite {name}, ")
    if suite.retrieval or (suite.tasks and env is None):
        return suite
    if suite.tasks:
        raise EvalError(f"env={env}: suite {name} has its own worlds; env= is for suite=custom")
    if env is None:
        raise EvalError(f"which world? suite={name} env=gym:kitchen.py:Kitchen-v0, or any choice of `hippo run env=`")
    return suite.model_copy(update={"tasks": {env.rpartition(":")[2]: Task(env=env)}})


def load_arms(names: Iterable[str]) -> dict[str, Arm]:
    """Load arms by their names; an arm from a file gets the name of the file.

    Raises:
        EvalError: There is no such arm, its settings are not valid, or two arms have the same name.
    """
    loaded: dict[str, Arm] = {}
    for name in names:
        arm = _checked(Arm, _read("arm", "arm", name, arms), f"arm {name}, ")
        own = [held.name for scope in MemoryTools.__mro__ for held in vars(scope).values() if isinstance(held, Tool)]
        if unknown := [tool for tool in arm.without if tool not in own]:
            raise EvalError(
                f"arm {name} is without {unknown[0]!r}, which is no memory tool: {did_you_mean(unknown[0], own)}"
            )
        known = Path(name).stem if name.endswith(".yaml") else name
        if known in loaded:
            raise EvalError(f"two arms are called {known!r}: give the file of one another name")
        loaded[known] = arm
    return loaded


def _folder(group: str) -> Path:
    return Path(str(files("configs"))) / group


def _read(what: str, group: str, name: str, known: Callable[[], list[str]]) -> dict[str, Any]:
    path = Path(name) if name.endswith(".yaml") else _folder(group) / f"{name}.yaml"
    if name.endswith(".yaml") and not path.is_file():
        raise EvalError(f"{what} {name}: there is no such file; without .yaml it is one of {', '.join(known())}")
    if not path.is_file() or (not name.endswith(".yaml") and name not in known()):
        raise EvalError(f"unknown {what} {name!r}: {did_you_mean(name, known())}")
    try:
        values = OmegaConf.to_container(OmegaConf.load(path))
    except (OmegaConfBaseException, YAMLError) as error:
        raise EvalError(f"{path} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise EvalError(f"{path} holds no settings, but {type(values).__name__}")
    return {str(key): value for key, value in values.items()}


def _checked(schema: type[Model], values: Any, where: str) -> Model:
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"]))
        raise EvalError(f"{where}{place}: {problem['msg'].lower()}, got {problem['input']!r}") from error
