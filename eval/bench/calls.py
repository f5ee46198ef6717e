"""Mutated calls: does anything escape, does a tool run on arguments that it does not take, how long does a call take.

    python -m eval.bench.calls --calls 100000 --json

Calls of typed tools, of tools that come as JSON schemas, and of the memory's own are made well-formed, and then changed
in their text or their values, up to 100 kB.
"""

import argparse
import json
import random
import time
from collections import Counter
from datetime import date
from enum import Enum
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, Field

from eval.bench.report import tell
from memory import HashingEmbedder, Memory
from tools import MemoryTools, Tool, Toolbox, ToolCall, tool


class Color(Enum):
    """A choice."""

    RED = "red"
    BLUE = "blue"


class Address(BaseModel):
    """A nested value."""

    street: str = Field(max_length=30)
    number: int = Field(ge=1, le=999)


wrong: list[str] = []
"""What ran with arguments that its signature does not allow."""


def _check(name: str, right: bool) -> str:
    if not right:
        wrong.append(name)
    return "done"


@tool
def paint(color: Color, times: Annotated[int, Field(ge=1, le=5)] = 1, glossy: bool = False) -> str:
    """Paint something."""
    return _check("paint", isinstance(color, Color) and type(times) is int and 1 <= times <= 5 and type(glossy) is bool)


@tool
def post(to: Address, on: date, lines: Annotated[list[str], Field(max_length=3)], how: Literal["air", "sea"]) -> str:
    """Post a letter."""
    right = isinstance(to, Address) and 1 <= to.number <= 999 and len(to.street) <= 30
    right = right and isinstance(on, date) and len(lines) <= 3 and all(type(line) is str for line in lines)
    return _check("post", right and how in ("air", "sea"))


@tool
def weigh(what: str | int | None, grams: Annotated[float, Field(gt=0, lt=1e6)]) -> str:
    """Weigh something."""
    return _check("weigh", (what is None or type(what) in (str, int)) and type(grams) is float and 0 < grams < 1e6)


def _foreign(given: dict[str, Any]) -> str:
    return _check(
        "order",
        set(given) <= {"item", "count"} and type(given["item"]) is str and given.get("count", 1) in range(1, 10),
    )


ORDER = {
    "type": "object",
    "properties": {
        "item": {"type": "string", "maxLength": 50},
        "count": {"type": "integer", "minimum": 1, "maximum": 9},
    },
    "required": ["item"],
    "additionalProperties": False,
}

GOOD: tuple[tuple[str, dict[str, Any]], ...] = (
    ("paint", {"color": "red", "times": 2}),
    ("post", {"to": {"street": "Elm", "number": 4}, "on": "2026-11-28", "lines": ["a", "b"], "how": "air"}),
    ("weigh", {"what": "salt", "grams": 12.5}),
    ("order", {"item": "rope", "count": 3}),
    ("recall", {"cue": "red ball"}),
    ("remember", {"text": "the red ball is in the hall"}),
    ("tell", {"head": "Ida", "relation": "lives in", "tail": "Oslo"}),
    ("where_is", {"thing": "red ball"}),
)

ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 10**30, 1e308, float("nan"), float("inf"), "", " ", "x" * 500, "\x00", "\ud800", "🙂",
    "1", "true", "null", "red\n", "{}", [], [[]], [None], {}, {"": ""}, {"$ref": "#"}, ["a"] * 50,
    {"a": {"b": {"c": []}}},
    "' OR 1=1 --", "<|im_end|>", "../../etc/passwd", "x" * 100_000,
)  # fmt: skip


def toolbox() -> Toolbox:
    """Return the tools that are called."""
    memory = Memory.open(None, HashingEmbedder())
    return Toolbox(
        [
            paint,
            post,
            weigh,
            Tool.from_schema("order", "Order something", ORDER, _foreign),
            *MemoryTools(memory).select(),
        ]
    )


def _deep(depth: int) -> Any:
    made: Any = []
    for _ in range(depth):
        made = [made]
    return made


def _other_value(rng: random.Random, node: Any) -> Any:
    """Return a value in which one part is something else."""
    if isinstance(node, dict) and node and rng.random() < 0.8:
        key = rng.choice([*node])
        kind = rng.random()
        if kind < 0.15:
            return {name: value for name, value in node.items() if name != key}
        if kind < 0.3:
            return {**node, rng.choice(["", "extra", "__class__", key.upper(), "x" * 300]): rng.choice(ODD)}
        return {**node, key: _other_value(rng, node[key])}
    if isinstance(node, list) and node and rng.random() < 0.6:
        at = rng.randrange(len(node))
        return [*node[:at], _other_value(rng, node[at]), *node[at + 1 :]]
    return _deep(rng.choice([3, 100, 900])) if rng.random() < 0.02 else rng.choice(ODD)


def _other_text(rng: random.Random, text: str) -> str:
    """Return a text with a few characters changed, or cut, doubled, wrapped."""
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(text) + 1)
        kind = rng.randrange(6)
        if kind == 0:
            text = text[:at] + rng.choice('{}[]",:\\\x00é0-e ') + text[at:]
        elif kind == 1:
            text = text[:at] + text[at + rng.randint(1, 5) :]
        elif kind == 2:
            text = text[:at]
        elif kind == 3:
            text += text
        elif kind == 4:
            text = f"```json\n{text}\n```"
        else:
            text = text.replace(rng.choice(['"', ":", "{", ","]), rng.choice(["'", "", "=", ";"]), 1)
    return text


def measure(count: int, seed: int) -> dict[str, Any]:
    """Make calls, change them, and run them."""
    rng, box = random.Random(seed), toolbox()
    statuses: Counter[str] = Counter()
    escaped: list[str] = []
    seconds = np.zeros(count)
    for number in range(count):
        name, arguments = rng.choice(GOOD)
        began = time.perf_counter()
        try:
            if rng.random() < 0.5:
                words = json.dumps({"name": name, "arguments": arguments})
                try:
                    call = ToolCall.parse(_other_text(rng, words))
                except ValueError:
                    statuses["no call"] += 1
                    seconds[number] = time.perf_counter() - began
                    continue
            else:
                changed = _other_value(rng, arguments)
                call = ToolCall.model_construct(
                    name=name, arguments=changed if isinstance(changed, dict) else {"x": changed}
                )
            statuses[box.dispatch(call).status] += 1
        except Exception as error:  # what must not happen
            escaped.append(f"{name}: {type(error).__name__}: {str(error)[:80]}")
        seconds[number] = time.perf_counter() - began
    return {
        "calls": count, **statuses, "escaped": len(escaped), "first_escaped": escaped[:3], "ran_on_wrong": len(wrong),
        "p50_ms": 1e3 * float(np.quantile(seconds, 0.5)), "p99_ms": 1e3 * float(np.quantile(seconds, 0.99)),
        "most_ms": 1e3 * float(seconds.max()),
    }  # fmt: skip


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="one JSON object as stdout's last line")
    asked = parser.parse_args()
    tell(measure(asked.calls, asked.seed), asked.json)


if __name__ == "__main__":
    main()
