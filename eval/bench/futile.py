"""Calls without effect: how many does a model make, with and without narrowing of what had none, and what does it cost?

    python -m eval.bench.futile --model smollm2-135m --worlds 20 --json
    python -m eval.bench.futile --model hippo-135m --worlds 20 --json

The same worlds of the validation split are played twice, `agent.narrow_futile` on and off; a call counts as futile if
it changed nothing that is perceived, or asked again what was answered while nothing had changed, or went round in a
circle.
"""

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np

from agent import Agent, AgentConfig
from agent.logs.events import End
from agent.models.base import Model
from agent.models.endpoint import EndpointConfig, EndpointModel
from agent.models.scripted import ScriptedModel
from agent.policies.choice import named_model
from agent.policies.script import RandomCaller
from envs import make, seeds_of
from eval.bench.report import tell
from eval.statistics import bootstrap_ci
from memory import HashingEmbedder, Memory

NAMES = {True: "on", False: "off"}
ENVS = ("BabyAI-GoToLocal-v0", "BabyAI-PickupLoc-v0", "MiniGrid-DoorKey-6x6-v0", "MiniGrid-FourRooms-v0")


def played(model: Model, env: str, seed: int, narrow: bool, memory: bool, calls: int) -> End:
    """Play one world; gives its last event."""
    config = AgentConfig(narrow_futile=narrow, max_calls=calls, max_repeats=0)
    world = make(env)
    try:
        if not memory:
            events = list(Agent(model, config=config).run(world, seed=seed))
        else:
            with Memory.open(None, HashingEmbedder()) as opened:
                events = list(Agent(model, opened, config=config).run(world, seed=seed))
    finally:
        world.close()
    end = events[-1]
    assert isinstance(end, End)
    return end


def measure(model: Model, worlds: int, memory: bool, calls: int, envs: Sequence[str]) -> dict[str, Any]:
    """Play the worlds both ways."""
    first = seeds_of("validation").start
    figures: dict[str, Any] = {}
    for env in envs:
        shares: dict[bool, list[float]] = {True: [], False: []}
        solved = {True: 0, False: 0}
        for number in range(worlds):
            for narrow in (True, False):
                end = played(model, env, first + number, narrow, memory, calls)
                shares[narrow].append(end.futile_calls / max(end.model_calls, 1))
                solved[narrow] += end.success
        difference = np.array(shares[True]) - np.array(shares[False])
        figures[env] = {
            "worlds": worlds,
            "futile_share": {
                ("on" if key else "off"): round(float(np.mean(value)), 4) for key, value in shares.items()
            },
            "difference": [round(float(x), 4) for x in (difference.mean(), *bootstrap_ci(difference))],
            "solved": {NAMES[key]: value for key, value in solved.items()},
        }
        print(env, figures[env], flush=True)
    return figures


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--model", default="smollm2-135m", help="a model, or random")
    parser.add_argument("--url", default="", help="of a server that has the model")
    parser.add_argument("--worlds", type=int, default=20)
    parser.add_argument("--calls", type=int, default=60)
    parser.add_argument("--memory", action="store_true", help="with the tools of the memory")
    parser.add_argument("--envs", default=",".join(ENVS))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.url:
        config = EndpointConfig(name=options.model, url=options.url, seq_len=1024, timeout=300)
        model: Model = EndpointModel(config)
    elif options.model == "random":
        model = ScriptedModel(RandomCaller(), name="random")
    else:
        model = named_model(options.model)
    tell(measure(model, options.worlds, options.memory, options.calls, options.envs.split(",")), options.json)


if __name__ == "__main__":
    main()
