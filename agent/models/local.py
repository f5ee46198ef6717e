"""A Transformers model that decides for a batch of conversations at once."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from llguidance import LLMatcher
from pydantic import BaseModel, ConfigDict, Field

from agent.chat import Chat, Message
from agent.errors import ModelError, ObservationTooLongError
from agent.hub import adapters, catalog
from agent.models.base import Decision, Turn, Usage
from agent.models.decode import BatchDecoder, Job
from agent.models.grammar import NOTHING, Grammar, words_of
from agent.models.kv import BatchCache
from agent.models.tokens import ChatTokens
from agent.models.weights import load_options
from agent.models.window import Window


class LocalModelConfig(BaseModel):
    """Settings of a local model."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field("smollm2-135m", description="Catalogue name, or a folder with safetensors.")
    device: str = Field("auto", description="auto (CUDA if there), cpu, cuda, cuda:1 ...")
    dtype: Literal["bfloat16", "float16", "float32"] = Field("bfloat16", description="Precision of weights.")
    load_in_4bit: bool = Field(False, description="Quantise the weights to NF4 (bitsandbytes).")
    adapter: str | None = Field(None, description="Folder of a PEFT adapter, or the name of one that ships.")
    merge: bool = Field(True, description="Add the adapter to the weights, which is faster; not in 4 bit.")
    seq_len: int = Field(1024, ge=128, description="Window in tokens.")
    max_call_tokens: int = Field(96, ge=16, description="Longest call in tokens.")
    extractive: bool = Field(
        True, description="Whether names told to the graph, and answers, may use only words in the window."
    )
    temperature: float = Field(0.0, ge=0, description="0: greedy; above 0: sampling with the episode's seed.")


@dataclass
class _Row:
    """The state that the model keeps for one chat.

    Attributes:
        pending: Tokens that have not passed through the model yet.
        seen: Number of the chat's messages whose tokens are in the cache or pending.
        left: Number of the first pending tokens that were counted in the usage of the last decision.
        answer: Text of the last decision; ``None`` while the next one is made.
        rng: Source of randomness when sampling.
        surprise_span: Range of ``pending`` that holds the newest observation; empty if there is none.
    """

    pending: list[int] = field(default_factory=list)
    seen: int = 0
    left: int = 0
    answer: str | None = None
    rng: np.random.Generator = field(default_factory=np.random.default_rng)
    surprise_span: range = range(0)


class LocalModel:
    """A causal language model from safetensors, decoding under the grammar of the offered tools.

    The key-value cache is kept between decisions, so a step's prefill is its new tokens. When the
    window is full, the oldest steps are dropped at once down to half of it.

    Args:
        config: Settings.
        loaded: A model and its tokenizer that are in memory already, such as one in training.

    Raises:
        CatalogError: The model or the adapter is not on this machine.
    """

    def __init__(self, config: LocalModelConfig | None = None, loaded: tuple[Any, Any] | None = None) -> None:
        self.config = config or LocalModelConfig()
        self.name = self.config.name
        self.window = Window(self.config.seq_len, self.config.max_call_tokens)
        self.path = catalog.resolve(self.config.name)
        self.adapter = adapters.resolve(self.config.adapter) if self.config.adapter else None
        self.device = loaded[0].device if loaded else torch.device(self._device())
        self._model, self.tokenizer = loaded or self._load(self.path)
        base = self._model.get_base_model() if hasattr(self._model, "get_base_model") else self._model
        self.tokens = ChatTokens(self.tokenizer)
        self.grammar = Grammar(self.tokenizer, int(base.config.vocab_size))
        self._decoder = BatchDecoder(base.get_decoder(), base.get_output_embeddings(), self.grammar, self.device)
        self._chats: list[Chat] = []
        self._rows: dict[Chat, _Row] = {}

    def _device(self) -> str:
        if self.config.device == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        return self.config.device

    def _load(self, path: Path) -> tuple[Any, Any]:
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging

        dtype = getattr(torch, self.config.dtype)
        options = load_options(dtype, self.device, "sdpa", self.config.load_in_4bit)
        logging.disable_progress_bar()
        tokenizer = AutoTokenizer.from_pretrained(path)
        model = AutoModelForCausalLM.from_pretrained(path, **options)
        if not self.config.load_in_4bit:
            model = model.to(self.device)
        if self.adapter:
            from peft import PeftModel

            adapters.check(self.adapter, path)
            model = PeftModel.from_pretrained(model, str(self.adapter))
            if self.config.merge and not self.config.load_in_4bit:
                model = model.merge_and_unload()
        return model.eval(), tokenizer

    def describe(self) -> dict[str, object]:
        """Return name, folder's hashes, precision and adapter."""
        manifest = catalog.manifest(self.path)
        return {
            "kind": "local",
            **self.config.model_dump(),
            "device": str(self.device),
            "adapter_sha256": adapters.digest(self.adapter) if self.adapter else None,
            "source": manifest["source"],
            "sha256": {n: h for n, h in manifest["files"].items() if n.endswith(".safetensors")},
        }

    @torch.inference_mode()
    def release(self, chat: Chat) -> None:
        """Forget what is cached for a chat that has ended."""
        if chat in self._rows:
            index = self._chats.index(chat)
            self._chats.pop(index)
            self._decoder.cache.remove_row(index)
            del self._rows[chat]

    @torch.inference_mode()
    def decide(self, turns: Sequence[Turn]) -> list[Decision]:
        """Answer every turn, all in one batch.

        Raises:
            ModelError: Two turns have the same chat, or a turn offers no tool.
            ObservationTooLongError: One observation alone does not fit into the window.
        """
        if len({id(turn.chat) for turn in turns}) != len(turns):
            raise ModelError("a chat can wait for one decision at a time, got the same chat twice")
        if not all(turn.offer for turn in turns):
            raise ModelError(NOTHING)
        began = time.perf_counter()
        dropped = [self._prepare(turn.chat) for turn in turns]
        try:
            matchers = [self.grammar.matcher(turn.offer, self._words(turn)) for turn in turns]
            jobs = [self._job(turn.chat, matcher) for turn, matcher in zip(turns, matchers, strict=True)]
            prefill = [len(job.feed) - self._rows[turn.chat].left for turn, job in zip(turns, jobs, strict=True)]
            self._decoder.write(jobs, self.config.temperature)
        except BaseException:
            self._forget_all()
            raise
        seconds = (time.perf_counter() - began) / len(turns)
        return [
            self._finish(turn.chat, job, Usage(count, job.chosen, job.forced, drop), seconds)
            for turn, job, count, drop in zip(turns, jobs, prefill, dropped, strict=True)
        ]

    def _words(self, turn: Turn) -> list[str]:
        """Return the words that extractive arguments may be made of: those in the window that others wrote."""
        if not self.config.extractive or not any(spec.extractive for spec in turn.offer):
            return []
        texts = [message.content for message in turn.chat.visible() if message.role != "assistant"]
        return words_of([*texts, turn.chat.mission])

    def _forget_all(self) -> None:
        """Drop all caches after a pass that failed; the chats restart from their messages."""
        self._decoder.cache = BatchCache(self.device)
        self._rows.clear()
        self._chats.clear()

    def _job(self, chat: Chat, matcher: LLMatcher) -> Job:
        row = self._rows[chat]
        feed, row.pending = row.pending, []
        index = self._chats.index(chat)
        return Job(index, feed, row.surprise_span, matcher, row.rng, self.config.max_call_tokens)

    def _prepare(self, chat: Chat) -> int:
        """Add a chat's new messages to its row's pending tokens, and return how many messages dropped out."""
        row = self._rows.get(chat)
        if row is None:
            row = self._rows[chat] = _Row(rng=np.random.default_rng(chat.seed))
            self._chats.append(chat)
            self._decoder.cache.add_row()
            self._restart(chat, row)
        elif not self._continues(chat, row):
            self._restart(chat, row)
        else:
            self._append(row, chat.messages[row.seen :])
        row.seen, row.answer = len(chat.messages), None
        index = self._chats.index(chat)
        dropped = 0
        if self._decoder.cache.lengths[index] + len(row.pending) > self.window.room:
            dropped = self._turn_over(chat, row)
        row.pending += self.tokens.generation_prompt
        return dropped

    def _continues(self, chat: Chat, row: _Row) -> bool:
        """Return whether the chat goes on where the cache ends, and if so, count the model's answer as seen.

        It goes on there if its next message is the answer that the model gave.
        """
        following = chat.messages[row.seen :]
        if row.answer is None or not following or following[0].content != row.answer:
            return False
        row.seen += 1
        return True

    def _append(self, row: _Row, messages: Sequence[Message]) -> None:
        row.surprise_span = range(0)
        for message in messages:
            tokens, content = self.tokens.message(message)
            if message.observed:
                start = len(row.pending)
                row.surprise_span = range(start + content.start, start + content.stop)
            row.pending += tokens

    def _restart(self, chat: Chat, row: _Row) -> None:
        """Rebuild a row from the visible messages."""
        self._decoder.cache.clear_row(self._chats.index(chat))
        row.pending, row.left = list(self.tokens.system(chat)), 0
        self._append(row, chat.visible())
        if not chat.messages[-1].observed:
            row.surprise_span = range(0)

    def _turn_over(self, chat: Chat, row: _Row) -> int:
        """Drop the oldest steps until the rest fills at most half of the window."""
        fixed = len(self.tokens.system(chat))
        visible = chat.visible()
        sizes = [len(self.tokens.message(message)[0]) for message in visible]
        first = self.window.first(fixed, sizes, visible)
        newest = sum(sizes[first:])
        if fixed + newest > self.window.room:
            raise ObservationTooLongError(
                f"the system message ({fixed} tokens) and the newest message ({newest} tokens) do not fit "
                f"into the window ({self.config.seq_len} tokens less {self.config.max_call_tokens} for the "
                "call): raise model.seq_len, or make the observation shorter"
            )
        dropped = chat.drop_to(chat.start + first)
        self._restart(chat, row)
        return dropped

    def _finish(self, chat: Chat, job: Job, usage: Usage, seconds: float) -> Decision:
        row = self._rows[chat]
        text = self.grammar.text([token for token in job.tokens if token != self.tokenizer.eos_token_id])
        row.answer = text
        row.pending, row.left = job.feed + self.tokens.closing, len(job.feed)  # those were already counted in usage
        surprise = 1.0 - math.exp(sum(job.logprobs) / len(job.logprobs)) if job.logprobs else None
        return Decision(text, surprise, job.logprobs, job.cut, usage, seconds)
