"""A Transformers model that decides for a batch of conversations at once."""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from llguidance import LLMatcher

from agent.chat import Chat
from agent.errors import ConfigError, ModelError
from agent.hub import adapters, catalog
from agent.models import prepared
from agent.models.base import Decision, Turn, Usage
from agent.models.decode import Job, Narrow, Writer
from agent.models.engine import Engine
from agent.models.grammar import NOTHING, Grammar, named_in, words_of
from agent.models.local_config import LocalModelConfig
from agent.models.prompt_feed import PromptFeed
from agent.models.slots import Slots
from agent.models.surprise import surprise_of
from agent.models.tokenizer import FastTokenizer
from agent.models.tokens import ChatTokens, tokenizer_of
from agent.models.window import Window
from agent.threads import cpu_threads, has_gpu

__all__ = ["LocalModel", "LocalModelConfig"]


@dataclass(eq=False)
class _Writing:
    """A call that is being written, with what it cost so far."""

    job: Job
    prefill: int
    dropped: int
    seconds: float = 0.0


class LocalModel:
    """A causal language model from safetensors, decoding under the grammar of the offered tools.

    Keys and values are kept between decisions, so a step's prefill is its new tokens. When the window is full, the
    oldest steps are dropped at once down to half of it.

    Args:
        config: Settings; by default the adapter that ships, on the model that it was trained on.
        settings: Single settings, as ``adapter="runs/mine"``, instead of ``config``.
        loaded: A model and its tokenizer that are in memory already, such as one in training.
        engine: Computes the tokens instead of an engine of this model's own.

    Raises:
        CatalogError: The model or the adapter is not on this machine.
    """

    def __init__(
        self,
        config: LocalModelConfig | None = None,
        loaded: tuple[Any, Any] | None = None,
        engine: Engine | None = None,
        **settings: Any,
    ) -> None:
        if isinstance(config, str):
            raise ConfigError(
                f"LocalModel takes settings: LocalModel(adapter={config!r}), or Agent({config!r}, memory)"
            )
        if unknown := set(settings) - set(LocalModelConfig.model_fields):
            known = ", ".join(LocalModelConfig.model_fields)
            raise ConfigError(f"LocalModel has no setting {', '.join(sorted(unknown))}: expected some of {known}")
        chosen = config or LocalModelConfig(**{} if "name" in settings else {"adapter": adapters.SHIPPED})
        self.config = type(chosen).model_validate(chosen.model_dump() | settings) if settings else chosen
        self.name = self.config.name
        self.window = Window(self.config.seq_len, self.config.max_call_tokens)
        self.path = catalog.resolve(self.config.name)
        self.adapter = adapters.resolve(self.config.adapter) if self.config.adapter else None
        folder = self._prepared() if loaded is None and engine is None else None
        self.tokenizer: Any = self._tokenizer(loaded, engine, folder)
        self.tokens = ChatTokens(self.tokenizer)
        self.engine = engine or self._engine(loaded[0] if loaded else None, folder)
        self.grammar = Grammar(self.tokenizer, self.engine.vocab_size)
        self._writer = Writer(self.engine, self.grammar)
        self._writing: dict[Chat, _Writing] = {}
        self._slots = Slots()
        self._rngs: dict[Chat, np.random.Generator] = {}
        self._feed = PromptFeed(self.tokens, self.window, self._slots.held, self._slots.cut)

    def _tokenizer(self, loaded: tuple[Any, Any] | None, engine: Engine | None, folder: Path | None) -> Any:
        """Return the tokenizer; that of Transformers is loaded only where there is no other."""
        if loaded is not None:
            return loaded[1]
        if folder is not None:
            return FastTokenizer.load(folder)
        return getattr(engine, "tokenizer", None) or tokenizer_of(self.path)

    def _engine(self, network: Any | None, folder: Path | None) -> Engine:
        longest = self.config.seq_len + len(self.tokens.generation_prompt)
        if folder is not None:
            from agent.models.onnx_engine import OnnxEngine

            return OnnxEngine(folder, longest, cpu_threads())
        from agent.models.torch_engine import TorchEngine  # they import torch
        from agent.models.weights import load_network

        if network is None:
            network = load_network(self.config, self.path, self.adapter, self.tokenizer)
        return TorchEngine(network, longest)

    def _prepared(self) -> Path | None:
        """Return the folder of the model as ONNX Runtime takes it, if that computes.

        Raises:
            CatalogError: It can't be converted.
            ConfigError: ONNX Runtime was asked for, and can't compute with these settings.
        """
        config = self.config
        if config.backend == "torch":
            return None
        wrong = [
            *(["load_in_4bit=true"] if config.load_in_4bit else []),
            *(["merge=false"] if self.adapter and not config.merge else []),
            *([f"device={config.device}"] if config.device not in ("auto", "cpu") else []),
        ]
        if config.backend == "auto":
            if wrong or not prepared.available() or (config.device == "auto" and has_gpu()):
                return None
            folder = prepared.folder_of(self.path, self.adapter)
            return folder if prepared.is_prepared(folder) else None
        if wrong:
            raise ConfigError(f"model.backend=onnx computes in float32 on a CPU: leave out model.{wrong[0]}")
        if not prepared.available():
            raise ConfigError("model.backend=onnx needs ONNX Runtime: pip install onnxruntime-genai onnx onnx-ir")
        return prepared.prepare(config, self.path, self.adapter)

    def describe(self) -> dict[str, object]:
        """Return name, folder's hashes, precision and adapter."""
        manifest = catalog.manifest(self.path)
        return {
            "kind": "local",
            **self.config.model_dump(),
            "device": self.device,
            "backend": self.engine.name,
            "adapter_sha256": adapters.digest(self.adapter) if self.adapter else None,
            "source": manifest["source"],
            "sha256": {n: h for n, h in manifest["files"].items() if n.endswith(".safetensors")},
        }

    @property
    def device(self) -> str:
        """Where the model computes."""
        return self.engine.device

    @property
    def chats(self) -> int:
        """Number of chats that something is kept of."""
        return len(self._slots)

    def reserve(self, chats: int) -> None:
        """Make room for conversations that are held at once.

        Raises:
            ConfigError: There is not enough memory; the message says what fits.
        """
        self.engine.reserve(chats)

    def release(self, chat: Chat) -> None:
        """Forget what is kept of a chat that has ended."""
        self._writing.pop(chat, None)
        self._slots.release(chat)
        self._feed.forget(chat)
        self._rngs.pop(chat, None)

    def decide(self, turns: Sequence[Turn]) -> list[Decision]:
        """Answer every turn, all in one batch.

        Raises:
            ModelError: Two turns have the same chat, or a turn offers no tool.
            ObservationTooLongError: One observation alone does not fit into the window.
        """
        found: dict[Chat, Decision] = {}
        while waiting := [turn for turn in turns if turn.chat not in found]:
            ready = zip(waiting, self.decide_next(waiting), strict=True)
            found |= {turn.chat: decision for turn, decision in ready if decision is not None}
        return [found[turn.chat] for turn in turns]

    def decide_next(self, turns: Sequence[Turn]) -> list[Decision | None]:
        """Answer the turns whose answers are complete first; see :meth:`agent.models.base.ContinuousModel.decide_next`.

        Raises:
            ModelError: Two turns have the same chat, or a turn offers no tool.
            ObservationTooLongError: One observation alone does not fit into the window.
        """
        if len({id(turn.chat) for turn in turns}) != len(turns):
            raise ModelError("a chat can wait for one decision at a time, got the same chat twice")
        if not all(turn.offer for turn in turns):
            raise ModelError(NOTHING)
        began = time.perf_counter()
        try:
            for turn in turns:
                if turn.chat not in self._writing:
                    self._writing[turn.chat] = self._begin(turn)
            asked = [self._writing[turn.chat] for turn in turns]
            while asked and not any(writing.job.complete for writing in asked):
                self._writer.advance([one.job for one in self._writing.values()], self.config.temperature)
        except BaseException:
            self._forget_all()
            raise
        seconds = (time.perf_counter() - began) / max(1, len(turns))
        for writing in asked:
            writing.seconds += seconds
        return [self._finish(turn.chat) if self._writing[turn.chat].job.complete else None for turn in turns]

    def _begin(self, turn: Turn) -> _Writing:
        dropped = self._feed.prepare(turn.chat)
        job = self._job(turn)
        prefill = len(job.feed) - self._feed[turn.chat].already_counted
        job.force()
        return _Writing(job, prefill, dropped)

    def _words(self, turn: Turn) -> list[str]:
        """Return the words that extractive arguments may be made of: those in the window that others wrote."""
        if not self.config.extractive or not any(spec.extractive for spec in turn.offer):
            return []
        texts = [message.content for message in turn.chat.visible() if message.role != "assistant"]
        return words_of([*texts, turn.chat.mission])

    def _forget_all(self) -> None:
        """Forget all that is kept after a pass that failed; the chats restart from their messages."""
        with suppress(Exception):  # the answer of a server must be read before it is asked again
            self._writer.land()
        self._writing.clear()
        self._slots.clear()
        self._feed.forget_all()
        self._rngs.clear()

    def _job(self, turn: Turn) -> Job:
        chat, matcher = turn.chat, self.grammar.matcher(turn.offer)
        span, tokens = self._feed[chat].surprise_span, self._feed.take(chat)
        rng = self._rngs.setdefault(chat, np.random.default_rng(chat.seed))
        most = self.config.max_call_tokens
        return Job(self._slots[chat], tokens, span, matcher, rng, most, self._narrow(turn))

    def _narrow(self, turn: Turn) -> Narrow | None:
        """Return what limits the extractive arguments of the tool that is called to the words in the window.

        That grammar is another at every decision, and takes long to compile: it is made when such a tool is chosen.
        """
        specs = {spec.name: spec for spec in turn.offer if spec.extractive}
        if not self.config.extractive or not specs:
            return None

        def narrow(tokens: Sequence[int]) -> LLMatcher | None:
            spec = specs.get(named_in(self.grammar.text(tokens)))
            words = self._words(turn) if spec else []
            return self.grammar.after(spec, words, tokens) if spec and words else None

        return narrow

    def _finish(self, chat: Chat) -> Decision:
        writing = self._writing.pop(chat)
        job = writing.job
        text = self.grammar.text([token for token in job.tokens if token != self.tokenizer.eos_token_id])
        self._feed.answered(chat, text, job.feed)
        usage = Usage(writing.prefill, job.chosen, job.forced, writing.dropped)
        return Decision(text, surprise_of(job.logprobs), job.logprobs, job.cut, usage, writing.seconds)
