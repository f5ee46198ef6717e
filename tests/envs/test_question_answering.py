import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import envs
from agent.models.grammar import words_of
from agent.text_env import action_tools_of
from envs import EnvConfigError
from envs.document_qa import DocumentQA
from envs.episodic_qa import KINDS, EpisodicQA
from envs.errors import DataError
from envs.multi_hop_qa import MultiHopQA
from envs.questions import (
    DISPUTED,
    LISTEN,
    UNKNOWN,
    folded,
)


def test_answers_are_compared_without_frills() -> None:
    assert folded("The  Attic!") == folded("attic") == "attic"
    assert folded("Monday noon") != folded("Monday")


@pytest.mark.parametrize("env", [EpisodicQA(), MultiHopQA()], ids=["episodic", "multi hop"])
def test_every_right_answer_is_made_of_words_in_view(env: EpisodicQA | MultiHopQA) -> None:
    (answer,) = [made for made in action_tools_of(env) if made.name == "answer"]
    assert answer.extractive == ("text",)
    for world in range(4):
        told = []
        for visit in range(env.visits):
            text, info = env.reset(seed=2_000_000 // env.visits * env.visits + world * env.visits + visit)
            told += [text, info["mission"]]
            over = bool(env.asked)
            while not over:
                text, _, over, _, _ = env.step("")
                told.append(text)
            if env.asked:
                words = {word for form in words_of(told) for word in form.split()}
                assert all({*one.split()} <= words for one in env.asked.answers), env.asked


def test_answers_from_documents_may_be_yes_or_no() -> None:
    assert DocumentQA.extractive is False


def test_one_listens_and_is_asked_then() -> None:
    env = EpisodicQA()
    text, info = env.reset(seed=0)
    assert info["mission"] == LISTEN
    assert info["available_actions"] == ["next"]
    told = [text]
    over = False
    while not over:
        text, reward, over, _, info = env.step("")
        told.append(text)
        assert reward == 0
    assert info["success"] is True
    assert told[-1] == "That was all."
    assert len(set(told[:-1])) == env.events
    assert env.optimal_steps() == 0
    _, info = env.reset(seed=1)
    assert info["mission"].startswith("answer: ")
    assert info["available_actions"] == ["answer"]
    assert not any(event in info["mission"] for event in told)


@pytest.mark.parametrize("level", ["easy", "medium", "hard"])
def test_questions_have_the_answer_that_was_told(level: str) -> None:
    env = EpisodicQA(level)
    kinds: Counter[str] = Counter()
    sizes: Counter[tuple[str, int]] = Counter()
    for world in range(25):
        env.reset(seed=2_000_004 + 6 * world)
        events = [dict(env.understand(text)[0].slots) for text in env.session.told[0]]
        for asked in env.session.asked:
            kinds[asked.kind] += 1
            (question,) = env.understand(asked.text)
            fitting = [event for event in events if question.slots.items() <= event.items()]
            answers = {event[question.kind] for event in fitting} or {UNKNOWN}
            assert answers == set(asked.answers)
            sizes[asked.kind, len(question.slots)] += 1
            assert asked.kind != "full" or len(question.slots) == 3
    assert sizes["unanswerable", 3]
    assert sizes["unanswerable", 1] + sizes["unanswerable", 2]  # the form of a question gives nothing away
    assert kinds == {kind: 25 * KINDS.count(kind) for kind in set(KINDS)}


@pytest.mark.parametrize("answer", ["right", "wrong"])
def test_an_answer_ends_it(answer: str) -> None:
    env = EpisodicQA()
    env.reset(seed=2)
    assert env.asked is not None
    _, reward, over, _, info = env.step(f"the {env.asked.answers[0]}" if answer == "right" else "no idea")
    assert (reward, over, info["success"]) == (float(answer == "right"), True, answer == "right")


def chain(env: MultiHopQA, question: dict[str, str]) -> set[str]:
    """Follow a question through all that was told; later facts replace earlier ones, birthplaces do not."""
    values: dict[tuple[str, str], list[str]] = {}
    for told in env.session.told:
        for text in told:
            (fact,) = env.understand(text)
            key = (fact.slots["subject"], fact.slots["relation"])
            values[key] = [*(values.get(key, []) if key[1] == "born in" else []), fact.slots["value"]]
    here = {question["subject"]}
    for relation in question["chain"].split(" > "):
        here = {value for one in here for value in values[one, relation]}
    return here


@pytest.mark.parametrize("level", ["easy", "medium", "hard"])
def test_chains_lead_to_the_answer(level: str) -> None:
    env = MultiHopQA(level)
    for world in range(25):
        env.reset(seed=1_000_006 + 7 * world)
        assert {asked.kind for asked in env.session.asked} == {"2 hops", "3 hops", "4 hops", "changed", "contradiction"}
        for asked in env.session.asked:
            (question,) = env.understand(asked.text)
            found = chain(env, dict(question.slots))
            if asked.kind == "contradiction":
                assert len(found) == 2
                assert asked.answers == (DISPUTED,)
            else:
                assert found == set(asked.answers)
            hops = question.slots["chain"].count(">") + 1
            assert asked.kind in (f"{hops} hops", "changed", "contradiction")


def test_a_birthplace_is_not_always_disputed() -> None:
    env = MultiHopQA()
    asked: Counter[bool] = Counter()
    for world in range(60):
        env.reset(seed=7 * world)
        for one in env.session.asked:
            if env.understand(one.text)[0].slots["chain"].endswith("born in"):
                asked[one.answers == (DISPUTED,)] += 1
    assert asked[True] == 60
    assert asked[False] > 60


def test_changed_facts_were_told_otherwise_before() -> None:
    env = MultiHopQA()
    env.reset(seed=0)
    before = {
        (m.slots["subject"], m.slots["relation"]): m.slots["value"]
        for text in env.session.told[0]
        for m in env.understand(text)
    }
    changes = [fact for text in env.session.told[1] for fact in env.understand(text)]
    assert len(changes) == 5
    for fact in (fact for fact in changes if fact.slots["relation"] != "born in"):
        assert before[fact.slots["subject"], fact.slots["relation"]] != fact.slots["value"]


@pytest.mark.parametrize(
    ("make", "settings", "message"),
    [
        (EpisodicQA, {"events": 3}, "events must be 4 to 60"),
        (EpisodicQA, {"level": "x"}, "unknown level"),
        (MultiHopQA, {"people": 9}, "people must be 3 to 8"),
        (DocumentQA, {}, r"needs a data set: give env\.kwargs\.path=FOLDER"),
        (DocumentQA, {"path": "here", "passages": 0}, "passages must be 1 to 200"),
    ],
)
def test_impossible_settings_are_refused(make: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(EnvConfigError, match=message):
        make(**settings)


@pytest.fixture
def hotpot(tmp_path: Path) -> Path:
    corpus = {f"Town {i}": [f"Town {i} lies on river {i}. ", "It has a mill. " * 40] for i in range(12)}
    questions = [
        {
            "_id": str(i),
            "question": f"On which river does Town {i} lie?",
            "answer": f"river {i}",
            "supporting_facts": [[f"Town {i}", 0]],
            "type": "bridge",
        }
        for i in range(12)
    ]
    (tmp_path / "corpus.json").write_text(json.dumps(corpus))
    (tmp_path / "questions.json").write_text(json.dumps(questions))
    return tmp_path


def test_documents_are_told_with_others_and_asked_about(hotpot: Path) -> None:
    env = envs.make("hippo/DocumentQA-v0", path=str(hotpot), passages=3).unwrapped
    assert isinstance(env, DocumentQA)
    seen = {}
    for split, base in (("train", 0), ("test", 2_000_000)):
        seen[split] = set()
        for world in range(12):
            env.reset(seed=base + 2 * world)
            told = env.session.told[0]
            asked = env.session.asked[0]
            seen[split].add(asked.text)
            assert any(asked.answers[0] in text for text in told)
            assert len({text.split(":")[0] for text in told}) == 3
            assert all(len(text) < 450 for text in told)
            assert asked.kind == "bridge"
    assert seen["train"]
    assert not seen["train"] & seen["test"]


def test_a_data_set_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no corpus\.json"):
        DocumentQA(path=tmp_path)
    with pytest.raises(DataError, match="unknown format 'squad'"):
        DocumentQA(path=tmp_path, format="squad")
