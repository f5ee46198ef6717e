import io

from rich.console import Console

import envs
from agent import Agent, ScriptedModel
from agent.commands.terminal import TerminalView, table
from agent.pictures.maps import remembered_map
from agent.policies.script import RouteFollower
from memory import Memory


def shown(memory: Memory, live: bool) -> str:
    console = Console(file=io.StringIO(), width=100, force_terminal=live)
    env = envs.make("hippo/WaterMaze-v0", size=8, landmarks=3)
    player = Agent(ScriptedModel(RouteFollower()), memory)
    with TerminalView(console, memory) as view:
        for event in player.run(env, seed=0, on_step=lambda e: view.world(e.get_wrapper_attr("ansi")())):
            view.show(event)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_plain_lines_tell_everything(memory: Memory) -> None:
    text = shown(memory, live=False)
    for words in ("the world", "what it remembers", "sees ", "calls ", "writes spatial", "writes episodic", "solved"):
        assert words in text
    assert "\x1b[" not in text


def test_a_terminal_is_redrawn_in_place(memory: Memory) -> None:
    text = shown(memory, live=True)
    assert text.count("what it remembers") > 3
    assert "\x1b[" in text


def test_the_remembered_map_shows_the_goal(memory: Memory) -> None:
    shown(memory, live=False)
    drawing = remembered_map(memory.spatial.grid_map, None).plain
    assert drawing.count("★") == 1
    assert "██" in drawing


def test_the_table_fits_a_narrow_terminal() -> None:
    episode = {
        "seed": 0, "ending": "out_of_steps", "success": False, "steps": 100, "optimal_steps": None, "model_calls": 100,
        "invalid_calls": 0, "prefill_tokens": 20000, "decode_tokens": 2000, "forced_tokens": 2000, "writes": 20,
        "seconds": 12.345,
    }  # fmt: skip
    console = Console(file=io.StringIO(), width=80)
    console.print(table([episode]))
    assert isinstance(console.file, io.StringIO)
    assert "out_of_steps" in console.file.getvalue()
    assert "12.35" in console.file.getvalue() or "12.34" in console.file.getvalue()
