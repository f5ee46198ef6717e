"""Macros: mined from expert episodes, accepted by trials, and compared on new seeds with the script without macros.

For each task, macros are mined from scripted episodes. Candidates run in fresh worlds until they are accepted or
rejected, accepted macros run again in new worlds, and the script plays test seeds with and without macros. A run
passes if it solves the episode or, where the mission asks for more than the macro does, if the macro did its part.
The ratio of calls is over episodes that both arms solved. Trials in BabyAI-Unlock-v0 leave out worlds whose key
lies behind its own door; the arms play all worlds. Then doors stop opening, to test whether the guard notices.
Last, the learnt head is tested on outcomes that depend on what the mission asks for, and on others.

    python -m eval.bench.macros --json
"""

import argparse
import random
import time
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from agent.logs.events import End, Event
from agent.logs.trajectory import trajectory_of
from agent.rollout.macro_trial import judge, run_trial
from envs import make
from eval.bench.babyai import LEVELS, play, solvable
from eval.bench.report import tell
from eval.statistics import bootstrap_ci, paired_difference, wilson_ci
from memory import HashingEmbedder, Memory
from memory.procedural import MacroLib, SymbolicState
from memory.procedural.scoring import Head

TASKS = (
    "go to, room", "pick up, maze", "open, room", "unlock, room", "unlock, distractors", "put next, room",
    "sequence, small maze", "unlock, maze",
)  # fmt: skip
TRAIN, TRIAL, NEW, TEST, TRAP = 3_000_000, 4_000_000, 5_000_000, 6_000_000, 7_000_000
TRIALS = 60
JAMMED = ("red", "blue")


class Jam(gym.Wrapper[str, int, str, int]):
    """Doors of some colours do not open; the world says nothing of it.

    Args:
        env: A BabyAI level.
        colors: Of the doors that are jammed.
    """

    def __init__(self, env: gym.Env[str, int], colors: Sequence[str]) -> None:
        super().__init__(env)
        self.colors = colors

    def step(self, action: int) -> Any:
        """Take one action; toggling a jammed door turns into doing nothing."""
        world: Any = self.env.unwrapped
        ahead = world.grid.get(*world.front_pos)
        jammed = action == 5 and ahead is not None and ahead.type == "door" and ahead.color in self.colors
        return self.env.step(6 if jammed else action)


def _end(events: list[Event]) -> End:
    end = events[-1]
    assert isinstance(end, End)
    return end


def task(title: str, library: MacroLib, episodes: int, tests: int) -> dict[str, Any]:
    """Mine, judge, run anew, compare."""
    began = time.perf_counter()
    env = make(LEVELS[title])
    logs = [trajectory_of(play(env, TRAIN + number)) for number in range(episodes)]
    mining = time.perf_counter()
    mined = library.mine(logs)
    mined_in = time.perf_counter() - mining
    rows = []
    for macro in mined:
        if macro.status == "candidate":
            judge(env, library, macro.signature, _seeds(env, title, TRIAL, 4 * TRIALS), TRIALS)
        status = library.get(macro.signature).status
        row: dict[str, Any] = {"name": macro.name, "status": status, "steps": [str(step) for step in macro.steps]}
        if status == "accepted":
            seeds = _seeds(env, title, NEW, tests)
            done = [trial for seed in seeds if (trial := run_trial(env, macro, library, seed))]
            whole = [trial for trial in done if not trial.partial]
            good = sum(trial.passed for trial in done)
            row |= {
                "n": len(done),
                "success": good / len(done),
                "ci95": wilson_ci(good, len(done)),
                "whole_missions": len(whole),
                "whole_solved": sum(trial.solved for trial in whole),
            }
        rows.append(row)
    arms: dict[str, list[End]] = {"primitive": [], "macros": []}
    for number in range(tests):
        arms["primitive"].append(_end(play(env, TEST + number)))
        with Memory.open(None, HashingEmbedder(32)) as memory:
            memory.macros.copy_from(library)
            arms["macros"].append(_end(play(env, TEST + number, memory, macros=True)))
    both = [(a, b) for a, b in zip(*arms.values(), strict=True) if a.success and b.success]
    calls = {arm: [ends[i].model_calls for ends in both] for i, arm in enumerate(arms)}
    return {
        "level": LEVELS[title],
        "episodes": episodes,
        "solved": sum(log.success for log in logs),
        "calls_logged": sum(len(log.calls) for log in logs),
        "mine_s": mined_in,
        "macros": rows,
        "n": tests,
        **{f"{arm}_success": float(np.mean([end.success for end in ends])) for arm, ends in arms.items()},
        **{f"{arm}_calls": float(np.mean(values)) for arm, values in calls.items()},
        "fewer_calls": float(np.mean(calls["primitive"]) / np.mean(calls["macros"])),
        "calls_saved": paired_difference(calls["primitive"], calls["macros"]),
        "steps_with_over_without": float(np.mean([b.steps for _, b in both]) / np.mean([a.steps for a, _ in both])),
        "seconds": time.perf_counter() - began,
    }


def _seeds(env: Any, title: str, first: int, count: int) -> list[int]:
    """Fresh seeds; of worlds that can be solved at all, where some can't."""
    if title != "unlock, maze":
        return list(range(first, first + count))
    kept = []
    for seed in range(first, first + 2 * count):
        env.reset(seed=seed)
        if solvable(env):
            kept.append(seed)
    return kept[:count]


def trap(library: MacroLib) -> dict[str, Any]:
    """A macro that worked stops working: how soon is it no longer suggested, and where did the guard stop it?"""
    tries, scores, messages = [], [], []
    for repeat in range(20):
        env = Jam(make(LEVELS["open, room"]), ("red", "green", "blue", "purple", "yellow", "grey"))
        with Memory.open(None, HashingEmbedder(32)) as memory:
            memory.macros.copy_from(library)
            macros = memory.macros
            mission, state = "open the red door", SymbolicState(known=frozenset({"closed red door"}))
            first = macros.suggest(mission, state)
            assert first, "the macro must be there before the trap"
            macro = first[0].macro
            path = [first[0].score]
            count = 0
            while macros.suggest(mission, state) and count < 10:
                trial = run_trial(env, macro, macros, TRAP + 100 * repeat + count)
                assert trial is not None
                macros.note(macro.signature, [trial.outcome])
                messages.append(trial.said)
                count += 1
                path.append(macros.get(macro.signature).success_prob)
            tries.append(count)
            scores.append(path)
    guarded = sum("(toggle)" in words for words in messages)
    return {
        "repeats": len(tries),
        "tries_until_not_suggested": float(np.mean(tries)),
        "most_tries": max(tries),
        "score_before": scores[0][0],
        "score_after": scores[0][1:],
        "stopped_at_toggle": guarded / len(messages),
        "said": messages[0],
    }


def heads(library: MacroLib) -> dict[str, Any]:
    """The learnt head beside the frequency: doors of two colours are jammed, or every run fails at random."""
    results = {}
    env = Jam(make(LEVELS["open, room"]), JAMMED)
    macro = next(m for m in library.all("accepted") if len(m.asked) == 1 and m.steps[-1].name == "toggle")
    outcomes = [t.outcome for seed in range(TRAP, TRAP + 64) if (t := run_trial(env, macro, library, seed))]
    rng = random.Random(0)
    noise = [type(o)(rng.random() < 0.7, o.at, o.facts) for o in outcomes]
    new = [t.outcome for seed in range(TRAP + 64, TRAP + 128) if (t := run_trial(env, macro, library, seed))]
    for name, history in (("jammed colours", outcomes), ("chance", noise)):
        fitted = Head.fit([history])
        rows: dict[str, Any] = {"outcomes": len(history), "worked": float(np.mean([o.ok for o in history]))}
        rows |= {"on": fitted.weights is not None, "gain_nats_lower_end": fitted.gain}
        if name == "jammed colours":  # runs that it has not seen
            for arm, head in (("head", fitted), ("frequency", Head())):
                jam = [head.score(history, o.facts) for o in new if not o.ok]
                free = [head.score(history, o.facts) for o in new if o.ok]
                rows |= {f"{arm}_expects_jammed": float(np.mean(jam)), f"{arm}_expects_free": float(np.mean(free))}
            rows["new_runs"] = len(new)
        results[name] = rows
    return results


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=500, help="expert episodes of each task")
    parser.add_argument("--tests", type=int, default=200, help="new seeds of each task")
    parser.add_argument("--tasks", nargs="*", choices=TASKS, default=list(TASKS), metavar="TASK")
    parser.add_argument("--json", action="store_true", help="one JSON object as stdout's last line")
    options = parser.parse_args(arguments)
    tasks: dict[str, Any] = {}
    figures: dict[str, Any] = {}
    with Memory.open(None, HashingEmbedder(32)) as memory:
        for title in options.tasks:
            tasks[title] = result = task(title, memory.macros, options.episodes, options.tests)
            print(f"{title:<22} {result['fewer_calls']:.1f} times fewer calls", flush=True)
        figures["tasks"] = tasks
        accepted = [row for result in tasks.values() for row in result["macros"] if row["status"] == "accepted"]
        ratios = [result["fewer_calls"] for result in tasks.values()]
        figures |= {
            "accepted": len(accepted),
            "least_success": min((row["success"] for row in accepted), default=None),
            "least_fewer_calls": min(ratios),
            "fewer_calls_ci95": bootstrap_ci(ratios),
        }
        if "open, room" in tasks:
            figures |= {"trap": trap(memory.macros), "head": heads(memory.macros)}
    tell(figures, options.json)


if __name__ == "__main__":
    main()
