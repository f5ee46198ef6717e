import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import envs
from envs import EnvConfigError, UnknownEnvError
from envs.registry import known_ids

Cli = Callable[..., tuple[int, str, str]]

RIDDLES = """
import gymnasium as gym

from envs import text_space


class Riddles(gym.Env):
    observation_space = action_space = text_space()
    text_action = ("say", "say a word")

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.word = ["oak", "elm", "ash"][int(self.np_random.integers(3))]
        return f"The tree is the {self.word}.", {"mission": "name the tree", "choices": ["oak", "elm", "ash"]}

    def step(self, action):
        return "Well.", float(action == self.word), True, False, {"choices": ["oak", "elm", "ash"]}


gym.register("Riddles-v0", Riddles)
"""


@pytest.fixture
def riddles(tmp_path: Path) -> Path:
    file = tmp_path / "riddles.py"
    file.write_text(RIDDLES)
    sys.modules.pop("hippo_env_riddles", None)
    return file


def test_a_world_from_a_file_is_played_logged_and_replayed(cli: Cli, riddles: Path, tmp_path: Path) -> None:
    name = f"env=gym:{riddles}:Riddles-v0"
    code, out, err = cli("collect", name, "policy=random", "episodes=12", "workers=1", f"runs={tmp_path}", "--json")
    assert code == 0, err
    result = json.loads(out.splitlines()[-1])
    assert 0 < result["success"] < 1
    text = Path(result["run_dir"], "000000", "events.jsonl").read_text()
    said = re.findall(r'"name":"say","arguments":{"text":"(\w+)"}', text)
    assert set(said) <= {"oak", "elm", "ash"}
    code, out, _ = cli("episodes", "replay", result["run_dir"], "--workers", 1)
    assert (code, "12 of 12" in out) == (0, True)


@pytest.mark.filterwarnings("ignore")
def test_the_guides_adapter_plays_textworld(cli: Cli, tmp_path: Path) -> None:
    pytest.importorskip("textworld")
    guide = (Path(__file__).parents[2] / "docs" / "guide" / "worlds.md").read_text()
    code = next(block for block in re.findall(r"```python\n(.*?)```", guide, re.DOTALL) if "class Kitchen" in block)
    adapter = code[code.index("class Kitchen") : code.index("gym.register")]
    assert len([line for line in adapter.splitlines() if line.strip()]) < 20
    file = tmp_path / "kitchen.py"
    file.write_text(code)
    words = (f"env=gym:{file}:Kitchen-v0", "policy=random", "episodes=3", "workers=1", f"runs={tmp_path}")
    exit_code, out, err = cli("collect", *words, "--json")
    assert exit_code == 0, err
    exit_code, out, _ = cli("episodes", "replay", json.loads(out.splitlines()[-1])["run_dir"], "--workers", 1)
    assert (exit_code, "3 of 3" in out) == (0, True)


def test_files_that_are_none_are_told(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("1 / 0")
    with pytest.raises(EnvConfigError, match=r"broken.py can't be imported: ZeroDivisionError"):
        envs.make(f"gym:{broken}:World-v0")
    broken.write_text("import nonsense_that_is_not_there")
    with pytest.raises(UnknownEnvError, match="no module 'nonsense_that_is_not_there'"):
        envs.make(f"gym:{broken}:World-v0")
    with pytest.raises(UnknownEnvError, match="no file"):
        envs.make("gym:nowhere.py:World-v0")
    empty = tmp_path / "empty.py"
    empty.write_text("")
    with pytest.raises(UnknownEnvError, match="unknown environment 'World-v0'"):
        envs.make(f"gym:{empty}:World-v0")


def test_ids_that_lack_their_files_are_not_listed() -> None:
    listed = [name for name in known_ids() if name.startswith("MiniGrid-WFC-")]
    for name in listed[:1]:
        envs.make(name).reset(seed=0)
