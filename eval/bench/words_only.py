"""Worlds of cells of which an agent gets words only: how much is lost without the view?

    python -m eval.bench.words_only --worlds 20 --json

The same worlds of the validation split, with the view that the text wrapper gives and with its sentences alone, one a
line, from which the agent reads a view itself. The expert asks the map, as a model does.
"""

import argparse
from typing import Any

import gymnasium as gym
import numpy as np

from agent import Agent
from agent.logs.events import End
from agent.models.base import Model
from agent.models.scripted import ScriptedModel
from agent.policies.choice import named_model
from agent.policies.follower import MissionFollower
from envs import make, seeds_of
from eval.bench.report import tell
from eval.statistics import bootstrap_ci
from memory import HashingEmbedder, Memory

ENVS = ("BabyAI-GoToLocal-v0", "BabyAI-PickupLoc-v0", "BabyAI-PutNextLocal-v0")
TOOLS = ["find", "plan_route", "explore", "where_is"]


class WordsOnly(gym.Wrapper[str, Any, str, Any]):
    """A world that says what is seen, a sentence a line, and no more."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Begin an episode."""
        text, info = self.env.reset(seed=seed, options=options)
        return in_lines(text), {"mission": info["mission"]}

    def step(self, action: Any) -> tuple[str, Any, bool, bool, dict[str, Any]]:
        """Take one action."""
        text, reward, terminated, truncated, _ = self.env.step(action)
        return in_lines(text), reward, terminated, truncated, {}


def in_lines(text: str) -> str:
    """Return an observation with each thing in a sentence of its own line."""
    return text.replace(", ", ".\nYou see ").replace(". You", ".\nYou")


def played(model: Model, env: str, seed: int, words_only: bool) -> End:
    """Play one world with a new memory; gives its last event."""
    world: Any = WordsOnly(make(env)) if words_only else make(env)
    try:
        with Memory.open(None, HashingEmbedder()) as memory:
            end = list(Agent(model, memory, TOOLS).run(world, seed=seed))[-1]
    finally:
        world.close()
    assert isinstance(end, End)
    return end


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--model", default="expert", help="a model, or expert")
    parser.add_argument("--worlds", type=int, default=50)
    parser.add_argument("--envs", default=",".join(ENVS))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    expert = options.model == "expert"
    figures: dict[str, Any] = {}
    first = seeds_of("validation").start
    loaded = None if expert else named_model(options.model)
    for env in options.envs.split(","):
        pairs = []
        for number in range(options.worlds):
            model = loaded or ScriptedModel(MissionFollower(find=True), name="expert")
            pairs.append([played(model, env, first + number, words).success for words in (False, True)])
        solved = np.array(pairs, float)
        difference = solved[:, 1] - solved[:, 0]
        figures[env] = {
            "worlds": options.worlds,
            "solved_with_view": int(solved[:, 0].sum()),
            "solved_with_words": int(solved[:, 1].sum()),
            "difference": [round(float(x), 3) for x in (difference.mean(), *bootstrap_ci(difference))],
        }
        print(env, figures[env], flush=True)
    tell(figures, options.json)


if __name__ == "__main__":
    main()
