"""A journal of calls with side effects: an episode that is played again after an interruption does not repeat them."""

import json
import os
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tools.types import ToolCall, ToolResult

JOURNAL = "effects.jsonl"
"""Name of the file, beside the log of its episode."""


class Journal:
    """The calls with side effects of one episode, in a file of JSON lines.

    A call is on disk before it is made, and its result afterwards. When the episode is played again, the n-th call of
    the same tool with the same arguments gets the result of the n-th one of before.

    Args:
        file: The file; it need not be there.
        episode: What tells the episode apart, such as its world and seed; calls of another are not its own.
    """

    def __init__(self, file: Path, episode: str = "") -> None:
        self.file = file
        self.episode = episode
        self._results: dict[str, ToolResult | None] = {}
        self._made: Counter[str] = Counter()
        for line in file.read_bytes().split(b"\n") if file.is_file() else ():
            self._read(line)

    def _read(self, line: bytes) -> None:
        try:
            row = json.loads(line)
            key, given = row["key"], row.get("result")
            self._results[key] = ToolResult(**given) if given else None
        except (ValueError, KeyError, TypeError):  # a torn last line
            return

    def once(self, call: ToolCall, make: Callable[[], ToolResult]) -> ToolResult:
        """Make a call, unless it was made before; then return its result of then.

        Args:
            call: The call.
            make: Makes it.
        """
        words = json.dumps([self.episode, call.name, call.arguments], sort_keys=True, default=str)
        self._made[words] += 1
        key = f"{self._made[words]} {words}"
        if key in self._results:
            unsure = f"{call.name} was begun before an interruption, and is not repeated: look whether it was done"
            return self._results[key] or ToolResult.failed(unsure)
        try:
            self._write({"key": key})
        except OSError as error:
            return ToolResult.failed(f"{call.name} was not called: its journal {self.file} can't be written: {error}")
        result = make()
        kept = {"status": result.status, "text": result.text, "data": result.data}
        kept |= {"acts": True, "action": result.action} if result.acts else {}
        with suppress(OSError, TypeError, ValueError):  # it was made: without its result, it is unsure the next time
            self._write({"key": key, "result": kept})
        self._results[key] = result
        return result

    def _write(self, row: dict[str, Any]) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a+", encoding="utf-8") as stream:
            torn = stream.tell() and not self._ends_in_a_line()
            stream.write(("\n" if torn else "") + json.dumps(row) + "\n")
            stream.flush()
            os.fsync(stream.fileno())

    def _ends_in_a_line(self) -> bool:
        with self.file.open("rb") as stream:
            stream.seek(-1, os.SEEK_END)
            return stream.read(1) == b"\n"
