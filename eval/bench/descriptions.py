"""Descriptions of arguments in the prompt: what they cost, and whether a small model uses them.

    python -m eval.bench.descriptions --model smollm2-135m --json
    python -m eval.bench.descriptions --model hippo-135m --json

Every request is put to the model with three tools, of which one fits; its arguments have short names, and their form is
said in their descriptions only. Three prompts are compared on the same requests: names of arguments only, descriptions
cut to 400 characters for all three tools, and whole. Counted are calls that are right under the grammar, and the
loss (negative log-likelihood in nats) of the right call's arguments.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agent.chat import Chat, Message
from agent.hub import adapters, catalog
from agent.models.base import Turn
from agent.models.local import LocalModel
from agent.models.local_config import LocalModelConfig
from agent.models.tokens import ChatTokens, tokenizer_of
from agent.models.weights import load_network
from eval.bench.report import tell
from tools import Tool, ToolCall, ToolSpec
from tools.details import fitted


@dataclass(frozen=True, slots=True)
class Request:
    """A request, the tool that fits, and the right arguments."""

    tool: ToolSpec
    words: str
    right: dict[str, Any]


def _read() -> Iterator[Request]:
    for line in (Path(__file__).parent / "data" / "described_tools.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        names = list(row["arguments"])
        schema = {"properties": row["arguments"], "required": names, "additionalProperties": False}
        made = Tool.from_schema(row["name"], row["description"], schema, print)
        yield Request(made.spec(), row["request"], row["right"])


REQUESTS = tuple(_read())

PROMPTS = {"names": 0, "short": 400, "whole": 100_000}
"""Greatest number of characters of descriptions in each prompt."""


def turn_of(number: int, most: int) -> Turn:
    """Return a turn that puts a request with its tool and two others, in an order that depends on its number."""
    request = REQUESTS[number]
    others = [REQUESTS[(number + step) % len(REQUESTS)].tool for step in (7, 17)]
    tools = [*others]
    tools.insert(number % 3, request.tool)
    chat = Chat(request.words, fitted(tools, most))
    chat.add(Message("user", request.words))
    return Turn(chat, tools)


def _loss(network: Any, tokens: ChatTokens, turn: Turn, right: ToolCall) -> float:
    """Return the negative log-likelihood of a call's arguments, in nats, after the prompt and the tool's name."""
    whole = right.text()
    at = whole.index('"arguments":') + len('"arguments":')
    before = tokens.ids(tokens.text(turn.chat) + whole[:at])
    ids = tokens.ids(tokens.text(turn.chat) + whole)
    with torch.inference_mode():
        logits = network(torch.tensor([ids], device=network.device)).logits[0].float()
    told = torch.log_softmax(logits[:-1], -1).gather(1, torch.tensor(ids[1:], device=logits.device)[:, None])[:, 0]
    return -float(told[len(before) - 1 :].sum())


def measure(name: str) -> dict[str, Any]:
    """Put every request with every prompt to a model.

    Args:
        name: A model or an adapter.
    """
    adapter = None if name in catalog.BY_NAME else adapters.resolve(name)
    base = name if adapter is None else adapters.base_of(adapter)
    config = LocalModelConfig(name=base, adapter=None if adapter is None else str(adapter), dtype="float32")
    folder = catalog.resolve(base)
    tokenizer = tokenizer_of(folder)
    network = load_network(config, folder, adapter, tokenizer)
    model = LocalModel(config, loaded=(network, tokenizer))
    tokens = model.tokens
    rows: dict[str, dict[str, list[float]]] = {}
    for label, most in PROMPTS.items():
        row = rows[label] = {"right": [], "tool": [], "loss": [], "tokens": [], "seconds": []}
        for number, request in enumerate(REQUESTS):
            turn = turn_of(number, most)
            row["tokens"].append(len(tokens.system(turn.chat)))
            row["loss"].append(_loss(network, tokens, turn, ToolCall(name=request.tool.name, arguments=request.right)))
            began = time.perf_counter()
            decided = ToolCall.parse(model.decide([turn])[0].text)
            row["seconds"].append(time.perf_counter() - began)
            model.release(turn.chat)
            row["tool"].append(decided.name == request.tool.name)
            row["right"].append(decided.name == request.tool.name and decided.arguments == request.right)
    return {"model": name, "n": len(REQUESTS)} | {label: _summary(rows[label], rows["names"]) for label in PROMPTS}


def _summary(row: dict[str, list[float]], base: dict[str, list[float]]) -> dict[str, Any]:
    """Return sums and means, and the mean paired difference of the loss to the prompt of names with its interval."""
    difference = np.array(row["loss"]) - np.array(base["loss"])
    half = 1.96 * difference.std(ddof=1) / np.sqrt(len(difference))
    return {
        "right": int(sum(row["right"])),
        "right_tool": int(sum(row["tool"])),
        "loss": round(float(np.mean(row["loss"])), 3),
        "loss_difference": [
            round(float(x), 3) for x in (difference.mean(), difference.mean() - half, difference.mean() + half)
        ],
        "prompt_tokens": round(float(np.mean(row["tokens"])), 1),
        "seconds": round(float(np.median(row["seconds"])), 3),
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    tell(measure(options.model), options.json)


if __name__ == "__main__":
    main()
