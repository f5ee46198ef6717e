"""A Transformers model that decides for a batch of conversations at once."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from llguidance import LLMatcher

from agent.chat import Chat
from agent.errors import ConfigError, ModelError
from agent.hub import adapters, catalog
from agent.models.base import Decision, Turn, Usage
from agent.models.decode import BatchDecoder, Job
from agent.models.grammar import NOTHING, Grammar, words_of
from agent.models.kv import BatchCache
from agent.models.local_config import LocalModelConfig
from agent.models.prompt_feed import PromptFeed
from agent.models.surprise import surprise_of
from agent.models.tokens import ChatTokens
from agent.models.weights import load_options, merged, precision
from agent.models.window import Window

__all__ = ["LocalModel", "LocalModelConfig"]


class LocalModel:
    """A causal language model from safetensors, decoding under the grammar of the offered tools.

    The key-value cache is kept between decisions, so a step's prefill is its new tokens. When the
    window is full, the oldest steps are dropped at once down to half of it.

    Args:
        config: Settings; by default the adapter that ships, on the model that it was trained on.
        settings: Single settings, as ``adapter="runs/mine"``, instead of ``config``.
        loaded: A model and its tokenizer that are in memory already, such as one in training.

    Raises:
        CatalogError: The model or the adapter is not on this machine.
    """

    def __init__(
        self, config: LocalModelConfig | None = None, loaded: tuple[Any, Any] | None = None, **settings: Any
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
        self.device = loaded[0].device if loaded else torch.device(self._device())
        self._model, self.tokenizer = loaded or self._load()
        base = self._model.get_base_model() if hasattr(self._model, "get_base_model") else self._model
        self.tokens = ChatTokens(self.tokenizer)
        self.grammar = Grammar(self.tokenizer, int(base.config.vocab_size))
        self._decoder = BatchDecoder(base.get_decoder(), base.get_output_embeddings(), self.grammar, self.device)
        self._chats: list[Chat] = []
        self._rngs: dict[Chat, np.random.Generator] = {}
        self._feed = PromptFeed(self.tokens, self.window, self._held, self._clear)

    def _device(self) -> str:
        if self.config.device == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        return self.config.device

    def _load(self) -> tuple[Any, Any]:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(self.path)
        if not self.adapter:
            return self._network(), tokenizer
        adapters.check(self.adapter, self.path)
        if not self.config.merge or self.config.load_in_4bit:
            return self._network(), tokenizer
        return merged(self._network, tokenizer, known=bool(adapters.card(self.adapter))), tokenizer

    def _network(self) -> Any:
        """Return the network with the adapter beside its weights, if there is one."""
        from transformers import AutoModelForCausalLM
        from transformers.utils import logging

        logging.disable_progress_bar()
        options = load_options(precision(self.config.dtype, self.device), self.device, "sdpa", self.config.load_in_4bit)
        model = AutoModelForCausalLM.from_pretrained(self.path, **options)
        if not self.config.load_in_4bit:
            model = model.to(self.device)
        if self.adapter:
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, str(self.adapter))
        return model.eval()

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

    @property
    def chats(self) -> int:
        """Number of chats that something is cached of."""
        return len(self._chats)

    @torch.inference_mode()
    def release(self, chat: Chat) -> None:
        """Forget what is cached for a chat that has ended."""
        if chat in self._feed:
            index = self._chats.index(chat)
            self._chats.pop(index)
            self._decoder.cache.remove_row(index)
            self._feed.forget(chat)
            del self._rngs[chat]

    def _held(self, chat: Chat) -> int:
        """Return how many tokens of a chat the cache holds."""
        return int(self._decoder.cache.lengths[self._chats.index(chat)])

    def _clear(self, chat: Chat) -> None:
        """Empty the cache's row of a chat; a new chat gets a row."""
        if chat not in self._rngs:
            self._rngs[chat] = np.random.default_rng(chat.seed)
            self._chats.append(chat)
            self._decoder.cache.add_row()
        self._decoder.cache.clear_row(self._chats.index(chat))

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
        dropped = [self._feed.prepare(turn.chat) for turn in turns]
        try:
            matchers = [self.grammar.matcher(turn.offer, self._words(turn)) for turn in turns]
            jobs = [self._job(turn.chat, matcher) for turn, matcher in zip(turns, matchers, strict=True)]
            counted = [self._feed[turn.chat].already_counted for turn in turns]
            prefill = [len(job.feed) - count for job, count in zip(jobs, counted, strict=True)]
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
        self._feed.forget_all()
        self._rngs.clear()
        self._chats.clear()

    def _job(self, chat: Chat, matcher: LLMatcher) -> Job:
        span = self._feed[chat].surprise_span
        index, tokens = self._chats.index(chat), self._feed.take(chat)
        return Job(index, tokens, span, matcher, self._rngs[chat], self.config.max_call_tokens)

    def _finish(self, chat: Chat, job: Job, usage: Usage, seconds: float) -> Decision:
        text = self.grammar.text([token for token in job.tokens if token != self.tokenizer.eos_token_id])
        self._feed.answered(chat, text, job.feed)
        return Decision(text, surprise_of(job.logprobs), job.logprobs, job.cut, usage, seconds)
