"""The evaluation harness: every arm of a suite plays the same worlds, and no finished episode is played again.

A job is a batch of worlds of one task for one arm, played side by side by one process. An interrupted evaluation plays
unfinished jobs again from their beginning, so that its results are the same as without the interruption.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from agent.config import CollectConfig, load_collect
from agent.errors import ConfigError, WorkerLostError
from agent.logs.events import INGESTION
from agent.logs.files import folder_lock
from agent.logs.log import versions, write_run
from agent.logs.manifest import Row
from agent.logs.resume import changed_settings
from agent.policies import expert_for
from agent.rollout.collect import Collection
from agent.rollout.processes import worker_pool
from agent.rollout.worker import counted_visits
from agent.text_env import Env, visits_of
from envs import make
from envs.splits import seeds_of
from eval.budget import begun_with, other_weights, same_budget, weights
from eval.errors import EvalError
from eval.intervention import befores
from eval.jobs import Job, Played, gathered, in_order, play
from eval.suites import Arm, EvalConfig, Suite, Task, load_arms, load_suite
from eval.verdict import FEWEST_WORLDS

SETTINGS = "eval.json"
RESUMABLE_KEYS = {"processes", "runs", "name", "probes"}
"""Settings that may change when an evaluation is resumed."""


class Evaluation:
    """One evaluation: a suite, its arms, and the folder with the episodes.

    Args:
        config: Settings.
        say: Called with each line of progress.

    Raises:
        EvalError: The suite or an arm is unknown, or the folder holds another evaluation.
        ConfigError: A setting does not exist.
    """

    def __init__(self, config: EvalConfig, say: Callable[[str], None] = lambda _words: None) -> None:
        self.config = config
        self.say = say
        self.suite: Suite = load_suite(config.suite, config.env)
        if self.suite.retrieval:
            raise EvalError(f"suite {config.suite} has no worlds: its arms are ways to retrieve")
        self.arms: dict[str, Arm] = load_arms(config.arms or self.suite.every)
        for name, arm in self.arms.items():
            if arm.memories != "own" and arm.of not in self.arms:
                raise EvalError(f"arm {name} begins with the memories of {arm.of}: add it to arms=")
            if arm.memories != "own" and (self.arms[arm.of].memories != "own" or not self.arms[arm.of].memory):
                raise EvalError(f"arm {name} begins with the memories of {arm.of}, which keeps none of its own")
        self.n = config.n or self.suite.plan.n
        now = datetime.now().astimezone()
        label = f"{Path(config.suite).stem}-{now:%Y%m%d-%H%M%S}"
        self.folder = config.runs / (config.name or label)
        self.visits: dict[str, int] = {}
        self._counted: dict[str, int] = {}
        self.kept = {arm.of for arm in self.arms.values() if arm.memories != "own"}
        for name, task in self.suite.tasks.items():
            first_config = self._collect(task, name, "model", Arm(about="", policy="random"), 0, 1)
            with closing(make(first_config.env.id, **first_config.env.kwargs)) as env:
                self.visits[name], self._counted[name] = visits_of(env), counted_visits(env)
                self._has_expert(name, env)
        self._enough_worlds()
        for name, arm in self.arms.items():  # report unknown settings before anything is played
            for task_name, task in self.suite.tasks.items():
                settings = self._collect(task, task_name, name, arm, 0, 1)
                if arm.set:
                    plain = arm.model_copy(update={"set": ()})
                    same_budget(f"set of arm {name}", settings, self._collect(task, task_name, name, plain, 0, 1))
                if config.set:
                    same_budget(
                        "set=",
                        settings,
                        self._collect(task, task_name, name, arm, 0, 1, ()),
                        ("agent.max_calls", "env"),
                    )
        self._begin()

    def _has_expert(self, task: str, env: Env) -> None:
        """Check that a world has an expert if an arm is one, before anything is played.

        Raises:
            EvalError: It has none.
        """
        arms = [name for name, arm in self.arms.items() if arm.policy == "expert"]
        if not arms:
            return
        try:
            env.reset(seed=seeds_of(self.config.split).start + self.config.seed)
            expert_for(env)
        except ConfigError as error:
            raise EvalError(f"arm {arms[0]}: {str(error).partition(':')[0]} ({task}): leave it out of arms=") from error

    def _enough_worlds(self) -> None:
        seeds = seeds_of(self.config.split)
        for name, visits in self.visits.items():
            worlds = self.worlds(name)
            if self.config.seed + (worlds + 1) * visits > len(seeds):
                raise EvalError(
                    f"n={self.n} from seed={self.config.seed} on goes beyond the split {self.config.split}, which has "
                    f"{len(seeds):,} seeds: choose less"
                )
            if worlds < FEWEST_WORLDS and visits > 1:
                each = self._counted[name]
                self.say(
                    f"{name}: n={self.n} is {worlds} world{'s' * (worlds != 1)} of {each} counted episodes, and no "
                    f"difference can be found with fewer than {FEWEST_WORLDS}: give n={FEWEST_WORLDS * each} or more"
                )
            if visits > 1 and worlds < 2 and any(arm.memories == "swapped" for arm in self.arms.values()):
                raise EvalError(f"n={self.n} is one world of {name}, and memories are swapped between two: raise n")

    def _begin(self) -> None:
        """Write the settings down; an existing evaluation must have the same settings."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EvalError(f"{self.folder} can't be made: {error.strerror}; choose another runs=") from error
        with folder_lock(self.folder):
            self._record_settings()

    def _record_settings(self) -> None:
        file = self.folder / SETTINGS
        current = {**self.config.model_dump(mode="json"), "arms": list(self.arms), "n": self.n}
        if file.is_file():
            before = settings_of(self.folder)["config"]["eval"]
            differing = sorted(changed_settings(before, current, RESUMABLE_KEYS))
            if differing:
                raise EvalError(
                    f"{self.folder} holds an evaluation with other {', '.join(differing)}: give the same settings, "
                    "or another name="
                )
            self._unchanged(settings_of(self.folder)["config"])
            return
        known = {name: arm.model_dump(mode="json") for name, arm in self.arms.items()}
        described = {"eval": current, "suite": self.suite.model_dump(mode="json"), "arms": known, "visits": self.visits}
        seeds = seeds_of(self.config.split)
        write_run(
            file, described, {"name": self.config.model, "adapters": self._weights()}, [seeds.start + self.config.seed]
        )

    def _weights(self) -> dict[str, str]:
        """Return the SHA-256 digest of the adapter of each arm that has one."""
        return weights(self.config.model, self.config.set, self.arms)

    def _unchanged(self, before: Mapping[str, Any]) -> None:
        """Check that the files of arms and worlds say the same as when the evaluation was begun."""
        try:
            arms = {name: Arm.model_validate(before["arms"][name]) for name in self.arms}
            tasks = {name: Task.model_validate(task) for name, task in before["suite"]["tasks"].items()}
        except (KeyError, TypeError, AttributeError, ValidationError) as error:
            raise EvalError(f"{self.folder / SETTINGS} is damaged: evaluate again under another name=") from error
        changed = [
            f"arm {name}"
            for name, arm in self.arms.items()
            if arms[name].model_copy(update={"about": arm.about}) != arm
        ]
        changed += [] if tasks == self.suite.tasks else [f"suite {self.config.suite}"]
        if changed:
            raise EvalError(f"{self.folder} was begun with another {', another '.join(changed)}: give another name=")

    def _collect(
        self,
        task: Task,
        name: str,
        arm_name: str,
        arm: Arm,
        first: int,
        episodes: int,
        common: Sequence[str] | None = None,
    ) -> CollectConfig:
        config = self.config
        overrides = [
            f"env={task.env}",
            f"split={config.split}",
            f"seed={first}",
            f"episodes={max(1, episodes)}",
            f"batch={config.batch}",
            f"agent.max_calls={task.calls}",
            *task.set,
            *([f"plugins=[{','.join(config.plugins)}]"] if config.plugins else []),
        ]
        match arm.policy:
            case "model":
                overrides += ["policy=model", f"model={config.model}"]
            case "script":
                overrides += ["policy=model", "model=script"]
            case policy:
                overrides += [f"policy={policy}", "workers=1"]
        if not arm.memory:
            overrides.append("memory=none")
        elif task.library:
            overrides.append(f"memory.macros={self.folder / 'library' / slug(name)}")
        composed = load_collect([*overrides, *arm.set, *(config.set if common is None else common)])
        tools = [tool for tool in composed.memory.tools if arm.memory and tool not in arm.without]
        changed = composed.memory.model_copy(update={"tools": tools})
        return composed.model_copy(
            update={
                "memory": changed,
                "runs": self.folder / "episodes",
                "keep_memories": arm_name in self.kept,
                "name": f"{slug(arm_name)}.{slug(name)}.{first}",
            }
        )

    def worlds(self, task: str) -> int:
        """Return how many worlds of a task are played."""
        return -(-self.n // max(1, self._counted[task]))

    def _own_jobs(self, arm: str) -> Iterator[Job]:
        for name, task in self.suite.tasks.items():
            visits, worlds = self.visits[name], self.worlds(name)
            start = -(-(seeds_of(self.config.split).start + self.config.seed) // visits) * visits
            first = start - seeds_of(self.config.split).start
            for begin in range(0, worlds, self.config.batch):
                count = min(self.config.batch, worlds - begin) * visits
                yield Job(arm, name, self._collect(task, name, arm, self.arms[arm], first + begin * visits, count))

    def _intervention_jobs(self, name: str, played: Sequence[Played]) -> Iterator[Job]:
        arm = self.arms[name]
        for task_name, task in self.suite.tasks.items():
            results = [result for result in played if (result.job.arm, result.job.task) == (arm.of, task_name)]
            start = min(result.job.config.seed for result in results)
            folders: dict[int, Path] = {}
            counted: list[Row] = []
            for result in results:
                shift = result.job.config.seed - start
                folders |= {row["episode"] + shift: result.folder for row in result.rows}
                counted += [
                    row | {"episode": row["episode"] + shift} for row in result.rows if row["kind"] != INGESTION
                ]
            before = befores(counted, folders, arm.memories, self.visits[task_name])
            shifts = {result.folder: result.job.config.seed - start for result in results}
            beginnings = [(n, (folder, number - shifts[folder])) for n, (folder, number) in sorted(before.items())]
            size = self.config.batch * max(1, self.visits[task_name] - 1)
            last = max(folders) + 1
            for begin in range(0, len(beginnings), size):
                changed_arm = self.arms[arm.of].model_copy(
                    update={"set": self.arms[arm.of].set + arm.set, "without": self.arms[arm.of].without + arm.without}
                )
                config = self._collect(task, task_name, name, changed_arm, start, last)
                config = config.model_copy(
                    update={
                        "name": f"{slug(name)}.{slug(task_name)}.{start}-{begin}",
                        "batch": size,
                        "keep_memories": False,
                    }
                )
                yield Job(name, task_name, config, arm.memories, tuple(beginnings[begin : begin + size]), arm.of)

    def run(self, advance: Callable[[int, int], None] = lambda _done, _all: None) -> list[Played]:
        """Play all episodes that are missing, and return all.

        Args:
            advance: Called with the number of finished episodes and the number of all.

        Raises:
            EvalError: A process was killed.
        """
        with folder_lock(self.folder):
            return self._run(advance)

    def _run(self, advance: Callable[[int, int], None]) -> list[Played]:
        self._libraries()
        own = [name for name, arm in self.arms.items() if arm.memories == "own"]
        checks = [name for name in self.arms if name not in own]
        first = [job for name in own for job in self._own_jobs(name)]
        self._same_versions(first)
        total = sum(job.config.episodes for job in first)
        played = self._all(first, lambda done: advance(done, total))
        second = [job for name in checks for job in self._intervention_jobs(name, played)]
        total += sum(len(job.before) for job in second)
        done_before = sum(len(result.rows) for result in played)
        return played + self._all(second, lambda done: advance(done_before + done, total))

    def _same_versions(self, jobs: Sequence[Job]) -> None:
        """Refuse to resume an evaluation with other package versions or weights.

        A finished evaluation may be summarized by any release.
        """
        settings = settings_of(self.folder)
        before, now = settings.get("packages") or {}, versions()
        other = [f"{name} {before.get(name)} (now {now[name]})" for name in now if before.get(name) != now[name]]
        other += [f"other weights of arm {name}" for name in other_weights(begun_with(settings), self._weights())]
        if other and any(job.collection().worlds() for job in jobs):
            raise EvalError(
                f"{self.folder} was begun with {', '.join(other)}: go on with the same versions, or give another name="
            )

    def _all(self, jobs: Sequence[Job], advance: Callable[[int], None]) -> list[Played]:
        """Play jobs in processes; the longest jobs begin first."""
        jobs = sorted(jobs, key=lambda job: -self.visits[job.task] * job.config.agent.max_calls)
        if self.config.processes == 1:
            played, done = [], 0
            for job in jobs:
                before = done

                def count(new: int) -> None:
                    nonlocal done
                    done += new
                    advance(done)

                played.append(play(job, count))
                done = before + len(played[-1].rows)
            return in_order(played)
        try:
            with worker_pool(self.config.processes) as pool:
                return in_order(gathered(pool, jobs, advance))
        except WorkerLostError as error:
            raise EvalError(
                f"{error}: lower processes= and give the same name= to go on, or lower batch= under another name="
            ) from error

    def _libraries(self) -> None:
        """Mine and test macros, once, for the tasks that need a library."""
        for name, task in self.suite.tasks.items():
            folder = self.folder / "library" / slug(name)
            outcome_file = folder.with_suffix(".json")
            if not task.library or outcome_file.is_file():
                continue
            self.say(f"{name}: a script plays {task.library} train worlds, macros are mined and tested")
            if folder.is_dir():
                shutil.rmtree(folder)
            overrides = [
                f"env={task.env}",
                "policy=model",
                "model=script",
                f"episodes={task.library}",
                "batch=1",
                "memory.tools=[plan_route,explore]",
                f"runs={self.folder / 'mined'}",
                f"name={slug(name)}",
            ]
            scripted = Collection(load_collect(overrides), seeds_of("train"), make)
            scripted.run()
            from training.distill import distill

            done = distill(folder, [scripted.folder], task.env, say=self.say)
            outcome_file.write_text(json.dumps({"accepted": done.accepted, "tested": done.tested}))


def slug(name: str) -> str:
    """Return a name in the form that is used in folder names."""
    return "".join(letter if letter.isalnum() or letter in "_-" else "-" for letter in name)


def settings_of(folder: Path) -> dict[str, Any]:
    """Read the settings of an evaluation.

    Raises:
        EvalError: The folder holds no evaluation, or its settings are damaged.
    """
    file = folder / SETTINGS
    if not file.is_file():
        raise EvalError(f"{folder} holds no evaluation ({SETTINGS} is missing): give a folder of `hippo eval`")
    try:
        settings: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        settings["config"]["eval"], settings["config"]["suite"]
    except (ValueError, KeyError, TypeError) as error:
        raise EvalError(f"{file} is damaged: evaluate again under another name=") from error
    return settings
