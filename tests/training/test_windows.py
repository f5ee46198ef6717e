from collections.abc import Sequence
from pathlib import Path

import pytest

import envs
from agent import Agent, AgentConfig, Chat, ScriptedModel
from agent.logs.events import (
    Decided,
    End,
    Observed,
    Returned,
)
from agent.logs.log import read_events
from agent.memory_writer import KNOWN
from agent.models.local import LocalModel
from agent.models.prompt_feed import PromptFeed
from agent.models.window import Window, Windowed
from agent.policies import expert_for
from memory import HashingEmbedder, Memory
from training.conversations import of_log
from training.errors import RowTooLongError
from training.windows import IGNORED, Encoder

pytestmark = pytest.mark.model


def learnt(encoder: Encoder, path: Path) -> list[str]:
    """The words that have labels, call by call."""
    said = ""
    for example in encoder.windows(of_log(read_events(path))):
        assert len(example.input_ids) == len(example.labels) <= encoder.window.seq_len
        said += encoder.tokens.tokenizer.decode([label for label in example.labels if label != IGNORED])
    return said.split("<|im_end|>")[:-1]


def test_every_call_is_learnt_once_and_nothing_else(model: LocalModel, runs: Path) -> None:
    encoder = Encoder(model.tokens, Window())
    for log in sorted(runs.rglob("events.jsonl")):
        calls = [e.text for e in read_events(log) if isinstance(e, Decided)]
        assert learnt(encoder, log) == calls


def test_results_are_cut_where_the_agent_cut_them(model: LocalModel, runs: Path) -> None:
    log = max(runs.rglob("events.jsonl"), key=lambda path: path.stat().st_size)
    encoder = Encoder(model.tokens, Window())
    events = read_events(log)
    older = [e.model_copy(update={"shown": None}) if isinstance(e, Observed | Returned) else e for e in events]
    whole, cut = ([len(one.input_ids) for one in encoder.windows(of_log(older, most))] for most in (800, 20))
    assert sum(cut) < sum(whole)
    assert [len(one.input_ids) for one in encoder.windows(of_log(events, 20))] == whole  # what was shown is in the log


def test_a_long_episode_takes_several_windows(model: LocalModel, runs: Path) -> None:
    log = max(runs.rglob("events.jsonl"), key=lambda path: path.stat().st_size)
    assert len(list(Encoder(model.tokens, Window()).windows(of_log(read_events(log))))) > 1


def test_windows_are_what_the_model_sees_when_it_plays(model: LocalModel) -> None:
    """The same calls by the real model's bookkeeping and by the encoder give the same prompts."""
    prompts: list[list[int]] = []
    env = envs.make("hippo/WaterMaze-v0", size=8)
    env.reset(seed=0)
    expert = expert_for(env)

    def answer(turn):  # type: ignore[no-untyped-def]
        feed.prepare(turn.chat)
        seen.extend(feed.take(turn.chat))
        prompts.append(list(seen))
        call = expert(turn)
        feed.answered(turn.chat, call.text(), model.tokens.ids(call.text()))
        return call

    seen: list[int] = []

    def cut(_chat: Chat, _tokens: Sequence[int]) -> int:
        seen.clear()
        return 0

    feed = PromptFeed(model.tokens, Window(512), held=lambda _chat: len(seen), cut=cut)
    with Memory.open(None, HashingEmbedder()) as memory:
        agent = Agent(
            ScriptedModel(answer), memory, ["find", "plan_route", "explore"], config=AgentConfig(max_calls=60)
        )
        events = list(agent.run(env, seed=0))
    encoder = Encoder(model.tokens, Window(512))
    starts = []
    for example in encoder.windows(of_log(events)):
        marked = [i for i, label in enumerate(example.labels) if label != IGNORED]
        starts += [example.input_ids[:i] for i in marked if i - 1 not in marked]
    assert len(starts) == len(prompts) > 20
    assert starts == prompts


def test_rows_without_the_memory_have_no_trace_of_it(model: LocalModel, runs: Path) -> None:
    tools = ["find", "plan_route", "explore", "where_is", "suggest_macro", "run_macro"]
    encoder = Encoder(model.tokens, Window(), tools)
    noted = 0
    for log in sorted((runs).rglob("maze/*/events.jsonl")):
        events = read_events(log)
        noted += any(isinstance(e, Observed) and e.note for e in events)
        words = "".join(model.tokenizer.decode(example.input_ids) for example in encoder.windows(of_log(events)))
        assert not any(f"{name}(" in words or f'"{name}"' in words for name in tools)
        assert KNOWN not in words
        assert any(isinstance(e, Returned) and e.name == "find" for e in events)
    assert noted


def test_a_message_beyond_the_window_is_refused(model: LocalModel, runs: Path) -> None:
    log = next(runs.rglob("skills/*/events.jsonl"))
    with pytest.raises(RowTooLongError, match=r"raise model\.seq_len"):
        list(Encoder(model.tokens, Window(200, 96)).windows(of_log(read_events(log))))


def test_a_script_under_a_window_sees_what_is_left(model: LocalModel) -> None:
    env = envs.make("hippo/WaterMaze-v0", size=10)
    env.reset(seed=2)
    lengths = []

    def watch(turn):  # type: ignore[no-untyped-def]
        lengths.append(len(model.tokens.ids(model.tokens.text(turn.chat))))
        return expert(turn)

    expert = expert_for(env)
    with Memory.open(None, HashingEmbedder()) as memory:
        script = ScriptedModel(Windowed(watch, model.tokens, Window()))
        events = list(
            Agent(
                script, memory, ["find", "plan_route", "explore"], config=AgentConfig(max_calls=400, max_repeats=0)
            ).run(env, seed=2)
        )
    assert isinstance(events[-1], End)
    assert events[-1].success
    assert max(lengths) <= Window().room + len(model.tokens.generation_prompt)
