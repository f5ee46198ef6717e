import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from envs import corpora as loaders
from envs.errors import DataError
from eval.commands.evaluate import app
from eval.retrieval import evaluate, summary
from memory import HashingEmbedder

TEXTS = {
    "Ada": "Ada wrote the first program for the Engine.",
    "Engine": "The Engine was built by Charles in London.",
    "Charles": "Charles was born in London.",
    "Tea": "Tea is a drink.",
}


def write(folder: Path, questions: Any, corpus: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "questions.json").write_text(json.dumps(questions))
    (folder / "corpus.json").write_text(json.dumps(corpus))
    return folder


def hotpot(folder: Path) -> Path:
    question = {"question": "Who built the machine Ada wrote a program for?", "answer": "Charles", "type": "bridge"}
    facts = {"supporting_facts": [["Ada", 0], ["Engine", 0], ["Ada", 1]]}
    lost = {"question": "?", "supporting_facts": [["Nowhere", 0]]}
    return write(folder, [question | facts, lost], {title: [text] for title, text in TEXTS.items()})


def test_hotpotqa(tmp_path: Path) -> None:
    (corpus,) = loaders.load("hotpotqa", hotpot(tmp_path))
    assert [d.title for d in corpus.documents] == list(TEXTS)
    (question,) = corpus.questions
    assert (question.gold, question.kind) == ({"Ada", "Engine"}, "bridge"), (
        "one whose passages are not there is left out"
    )


def test_2wiki_by_titles_and_by_facts(tmp_path: Path) -> None:
    corpus = [{"title": t, "text": x} for t, x in TEXTS.items()]
    questions = [{"question": "a", "gold_titles": ["Ada"]}, {"question": "b", "supporting_facts": [["Tea", 0]]}]
    (found,) = loaders.load("2wiki", write(tmp_path, questions, corpus))
    assert [q.gold for q in found.questions] == [{"Ada"}, {"Tea"}]


def test_musique_tells_passages_of_one_title_apart(tmp_path: Path) -> None:
    corpus = [{"title": "London", "text": "A city."}, {"title": "London", "text": "A song."}]
    paragraphs = [
        {"title": "London", "paragraph_text": "A  song.", "is_supporting": True},
        {"title": "Ada", "paragraph_text": "Not here.", "is_supporting": False},
    ]
    (found,) = loaders.load(
        "musique", write(tmp_path, [{"id": "2hop__1", "question": "q", "paragraphs": paragraphs}], corpus)
    )
    assert found.questions[0].gold == {"London#2"}


def test_locomo(tmp_path: Path) -> None:
    turns = [
        {"dia_id": "D1:1", "speaker": "Ann", "text": "I went to Rome."},
        {"dia_id": "D1:2", "speaker": "Bob", "text": "Nice.", "blip_caption": "a photo of a cat"},
    ]
    talk = {"speaker_a": "Ann", "session_1": turns, "session_1_date_time": "1 May", "session_2_date_time": "2 May"}
    qa = [
        {"question": "Where did Ann go?", "answer": "Rome", "evidence": ["D1:1"], "category": 4},
        {"question": "?", "adversarial_answer": "x", "evidence": ["D1:1; D1:2"], "category": 5},
        {"question": "?", "evidence": [], "category": 1},
        {"question": "?", "evidence": ["D9:9"], "category": 1},
    ]
    file = tmp_path / "locomo10.json"
    file.write_text(json.dumps([{"sample_id": "conv-1", "conversation": talk, "qa": qa}]))
    for path in (file, tmp_path):
        (corpus,) = loaders.load("locomo", path)
        assert [d.text for d in corpus.documents] == ["Ann: I went to Rome.", "Bob: Nice. [shows a photo of a cat]"]
        assert [(q.gold, q.kind) for q in corpus.questions] == [
            ({"D1:1"}, "single-hop"),
            ({"D1:1", "D1:2"}, "adversarial"),
        ]
        assert corpus.documents[0].when == "1 May"


def test_what_is_not_of_the_format_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected one of hotpotqa"):
        loaders.load("squad", tmp_path)
    with pytest.raises(DataError, match=r"no corpus\.json"):
        loaders.load("hotpotqa", tmp_path)
    write(tmp_path, [{"question": "a"}], {"A": ["b"]})
    with pytest.raises(DataError, match="not in the format hotpotqa: KeyError 'supporting_facts'"):
        loaders.load("hotpotqa", tmp_path)
    (tmp_path / "corpus.json").write_text("{")
    with pytest.raises(DataError, match="is not JSON"):
        loaders.load("hotpotqa", tmp_path)
    write(tmp_path, [], {"A": ["b"]})
    with pytest.raises(DataError, match="holds no question"):
        loaders.load("hotpotqa", tmp_path)


def test_methods_are_scored_against_the_gold_passages(tmp_path: Path) -> None:
    corpora = loaders.load("hotpotqa", hotpot(tmp_path))
    results = evaluate(corpora, ("bm25", "dense", "graph", "dual"), HashingEmbedder())
    figures = summary("hotpotqa", corpora, results)
    assert (figures["format"], figures["n"], figures["passages"]) == ("hotpotqa", 1, 4)
    for one in figures["methods"].values():
        assert {"recall@2", "recall@5", "recall@10", "all@5", "ci95@5", "index_s", "query_ms_p50"} <= set(one)
        assert one["recall@10"] == 1.0
    assert figures["methods"]["dual"]["recall@2"] == 1.0
    results["dual"].ranks = [["Tea", "Charles"]]
    wrong = summary("hotpotqa", corpora, results)["methods"]
    assert (wrong["dual"]["recall@2"], wrong["dual"]["all@5"]) == (0.0, 0.0), "the score follows the answers"
    assert wrong["bm25"]["dual_minus_this@5"]["diff"] == -1.0


def test_the_command_prints_one_json_object_last(tmp_path: Path) -> None:
    asked = ["--format", "hotpotqa", "--data", str(hotpot(tmp_path)), "--method", "bm25", "--json"]
    done = CliRunner().invoke(app, ["retrieval", *asked])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout.splitlines()[-1])["methods"]["bm25"]["recall@10"] == 1.0
    bad = CliRunner().invoke(app, ["retrieval", *asked[:-2], "magic"])
    assert bad.exit_code == 2
    assert "unknown method 'magic'" in bad.stderr
