"""Draws the picture in the README: the end of a second visit, as ``hippo run`` shows it.

::

    python -m eval.picture docs/img/demo.svg
"""

import argparse
import io
from pathlib import Path

from rich.console import Console

from agent import Agent, AgentConfig, ScriptedModel
from agent.commands.terminal import TerminalView
from agent.logs.events import Observed
from agent.policies.script import RouteFollower
from envs import make
from memory import Memory


def draw(path: Path, seeds: tuple[int, int] = (0, 1), last_steps: int = 4) -> None:
    """Play two visits with the script; save a picture of the second one some steps before its end.

    Args:
        path: SVG file to write.
        seeds: Seeds of the two visits.
        last_steps: Number of steps before the end at which the picture is taken.
    """
    console = Console(record=True, width=110, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    env = make("hippo/WaterMaze-v0")
    with Memory.open() as memory:
        agent = Agent(ScriptedModel(RouteFollower()), memory, config=AgentConfig(max_calls=400))
        view = TerminalView(console, memory, live=False)
        quiet = TerminalView(Console(file=io.StringIO()), memory, live=False)
        for event in agent.run(env, seed=seeds[0]):
            quiet.show(event)
        env.reset(seed=seeds[1])
        stop = env.get_wrapper_attr("optimal_steps")() - last_steps
        for event in agent.run(env, seed=seeds[1], on_step=lambda e: view.world(e.get_wrapper_attr("ansi")())):
            view.note(event)
            if isinstance(event, Observed) and event.step == stop:
                console.print(view.picture())
                break
    path.parent.mkdir(parents=True, exist_ok=True)
    console.save_svg(str(path), title="hippo run model=script")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, nargs="?", default=Path("docs/img/demo.svg"))
    draw(parser.parse_args().path)


if __name__ == "__main__":
    main()
