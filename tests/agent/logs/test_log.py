import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from agent import EventLog, LogError, read_events
from agent.logs.events import End, Observed
from agent.logs.log import write_run


def seen(step: int, text: str = "a wall") -> Observed:
    return Observed(turn=0, step=step, text=text, reward=0, terminated=False, truncated=False)


def test_events_read_back(tmp_path: Path) -> None:
    path = tmp_path / "a" / "events.jsonl"
    events = [seen(i, f"wäll {i}\n") for i in range(3)]
    with EventLog(path) as log:
        for event in events:
            log.write(event)
        assert read_events(path) == events
    assert [json.loads(line)["v"] for line in path.read_text().splitlines()] == [1, 1, 1]


def test_a_torn_last_line_is_left_out_and_cut_on_reopening(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with EventLog(path) as log:
        log.write(seen(0))
    with path.open("ab") as file:
        file.write(b'{"type":"observed","st')
    assert read_events(path) == [read_events(path)[0]]
    with EventLog(path) as log:
        log.write(seen(1))
    assert [event.step for event in read_events(path)] == [0, 1]


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(seen(0).model_dump_json() + '\n{"type":"unheard of"}\n')
    with pytest.raises(LogError, match="line 2 is no event"):
        read_events(path)
    with pytest.raises(LogError, match="no log at"):
        read_events(tmp_path / "none.jsonl")


FILL = """
import resource, sys
from pathlib import Path
from agent import EventLog, LogError
from agent.logs.events import Observed
import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
log = EventLog(Path(sys.argv[1]))
try:
    for i in range(100):
        log.write(Observed(turn=0, step=i, text="x" * 50, reward=0, terminated=False, truncated=False))
except LogError as error:
    print(i, error)
"""


def test_a_full_disk_keeps_every_earlier_event(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    assert resource.RLIMIT_FSIZE
    done = subprocess.run(
        [sys.executable, "-c", FILL, str(path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    count, _, message = done.stdout.partition(" ")
    assert "earlier events are kept" in message
    assert [event.step for event in read_events(path)] == list(range(int(count)))
    assert int(count) > 2


def test_run_json_says_what_was_run(tmp_path: Path) -> None:
    write_run(tmp_path / "run.json", {"seed": 1}, {"name": "scripted"}, [1, 2])
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["seeds"] == [1, 2]
    assert record["packages"]["torch"]
    assert len(record["config_sha256"]) == 64


def test_endings_are_typed() -> None:
    fields = {name: 0 for name in End.model_fields if name not in ("ending", "reason", "type", "v", "tool_calls")}
    with pytest.raises(ValueError, match="ending"):
        End.model_validate({**fields, "tool_calls": {}, "reason": "", "ending": "bored"})
