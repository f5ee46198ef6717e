import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agent.commands.main import app
from agent.hub import catalog
from memory import HashingEmbedder, Memory

STORY = """Ada Lovelace lives in the red house. She owns a silver lamp. Her brother is Bo.

Bo, a sailor, works at the harbour. The harbour is in Lisbon. Bo does not own the lamp.
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    catalog.fetch("spacy-en")
    folder = tmp_path_factory.mktemp("kg")
    Memory.open(folder / "m", HashingEmbedder(64)).close()
    (folder / "story.txt").write_text(STORY)
    lines = [
        {
            "head": "Bo",
            "relation": "lives in",
            "tail": "Porto",
            "time": 5,
            "source": "letter",
            "text_span": "Bo is in Porto",
        },
        {"text": "Porto is a town.", "title": "Porto", "time": 6},
    ]
    (folder / "more.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    done = hippo("load", folder / "m", folder / "story.txt", folder / "more.jsonl", "--json")
    assert done["passages"] == 3
    return folder


def hippo(*words: object) -> Any:
    done = CliRunner().invoke(app, ["kg", *map(str, words)])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout.splitlines()[-1])


def refused(*words: object) -> str:
    done = CliRunner().invoke(app, ["kg", *map(str, words)])
    assert done.exit_code == 2, done.output
    return done.stderr


def counted(folder: Path) -> dict[str, int]:
    with Memory.open(folder / "m", HashingEmbedder(64)) as memory:
        return memory.stats()


def test_ask_tells_facts_with_their_words_and_the_way(folder: Path) -> None:
    facts = hippo("ask", folder / "m", "Where does Bo work?", "--json")["facts"]
    assert (facts[0]["head"], facts[0]["relation"], facts[0]["tail"]) == ("bo", "works_at", "harbour")
    assert facts[0]["span"] == "Bo, a sailor, works at the harbour."
    further = next(f for f in hippo("ask", folder / "m", "Bo", "-k", "9", "--json")["facts"] if f["tail"] == "lisbon")
    assert further["path"] == ["bo works at harbour"]
    assert hippo("ask", folder / "m", "Bo", "--at", "5", "--json")["facts"][0]["tail"] == "porto"
    assert hippo("ask", folder / "m", "Bo", "--at", "4", "--json")["facts"] == []
    shown = CliRunner().invoke(app, ["kg", "ask", str(folder / "m"), "xyzzy"])
    assert "nothing is known" in shown.stdout


def test_ask_for_passages(folder: Path) -> None:
    question = "Where does the brother of Ada Lovelace work?"
    found = hippo("ask", folder / "m", question, "--passages", "-k", "2", "--json")
    assert {p["trace"] for p in found["passages"]} == {1, 2}
    assert all(p["sources"] for p in found["passages"])


def test_path_show_history_and_picture(folder: Path) -> None:
    way = hippo("path", folder / "m", "silver lamp", "Lisbon", "--json")["path"]
    assert [(f["head"], f["relation"], f["tail"]) for f in way] == [
        ("silver lamp", "owned_by", "ada lovelace"),
        ("bo", "brother_of", "ada lovelace"),
        ("bo", "works_at", "harbour"),
        ("harbour", "located_in", "lisbon"),
    ]
    for suffix, start in ((".png", b"\x89PNG"), (".svg", b"<?xml")):
        picture = folder / f"bo{suffix}"
        hippo("show", folder / "m", "Bo", "--picture", picture, "--json")
        assert picture.read_bytes().startswith(start)
        assert len(picture.read_bytes()) > 5_000
    told = hippo("show", folder / "m", "bo", "--history", "lives in", "--json")["facts"]
    assert [f["tail"] for f in told] == ["porto"]
    assert "expected a file that ends in .png or .svg" in refused("show", folder / "m", "Bo", "--picture", "x.gif")
    assert "nothing is known of 'zz'" in refused("path", folder / "m", "zz", "Bo")


def test_merge_contradictions_unmerge_export(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"head": "Captain Bo", "relation": "lives_in", "tail": "Faro", "time": 7}')
    hippo("load", folder / "m", tmp_path / "t.jsonl", "--json")
    assert hippo("contradictions", folder / "m", "--json")["contradictions"] == []
    row = hippo("merge", folder / "m", "Captain Bo", "Bo", "--json")["id"]
    assert hippo("contradictions", folder / "m", "--json")["contradictions"][0]["reason"] == "both hold"
    assert hippo("unmerge", folder / "m", row, "--json")["alias"] == "captain bo"
    assert hippo("resolve", folder / "m", "--dry-run", "--json")["merged"] == []
    assert hippo("export", folder / "m", tmp_path / "g.graphml", "--json")["facts"] == counted(folder)["facts"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"head": "a"}', "needs head, relation and tail"),
        (b'{"text": "Ada lives in Rome.", "head": "a", "relation": "r", "tail": "b"}', "expected either"),
        (b'{"text": "Ada lives in Rome.", "tme": 5}', "unknown key 'tme'"),
        (b'{"text": null}', "text must be text, got None"),
        (b'{"text": "Ada \\ud800 lives in Rome."}', "valid Unicode"),
        (b'{"text": "Ada lives in Rome.", "time": "soon"}', "expected seconds or a time"),
        (b'{"text": "Ada lives in Rome."}\n{"text": " "}', "bad.jsonl:2"),
        (b"[1]", "expected"),
        (b'{"text": "Ada lives in Rome."}\nnot json', "bad.jsonl:2"),
        (b'{"head": "a", "relation": "r", "tail": 5}', "tail must be text, got 5"),
        (b'{"head": "a", "relation": "r", "tail": "b", "conf": 7}', "conf"),
        (b"\xff\xfe\x00", "not UTF-8"),
    ],
)
def test_a_bad_line_is_told_and_changes_nothing(folder: Path, tmp_path: Path, content: bytes, says: str) -> None:
    before = counted(folder)
    (tmp_path / "bad.jsonl").write_bytes(content)
    assert says in refused("load", folder / "m", tmp_path / "bad.jsonl")
    assert counted(folder) == before


def test_dates_words_of_the_graph_and_the_list_of_aliases(folder: Path, tmp_path: Path) -> None:
    lines = [
        {"head": "Zed", "relation": "works for", "tail": "Acme", "time": "2020-01-01"},
        {"head": "Zed", "relation": "works at", "tail": "Globex", "time": "2021-01-01"},
        {"head": "Jo O’Hara", "relation": "likes", "tail": "tea", "time": 1},
        {"head": "Jo O'Hara", "relation": "likes", "tail": "milk", "time": 1},
    ]
    file = tmp_path / "z.jsonl"
    file.write_text("\ufeff" + "\n".join(map(json.dumps, lines)), encoding="utf-8")
    hippo("load", folder / "m", file, "--json")
    told = hippo("show", folder / "m", "Zed", "--history", "works for", "--json")["facts"]
    assert [(f["tail"], f["valid_to"] is None) for f in told] == [("acme", False), ("globex", True)]
    assert all(f["source"] for f in told)
    then = hippo("ask", folder / "m", "Where does Zed work?", "--at", "2020-06-01", "--json")["facts"]
    assert [(f["tail"], f["doc_id"]) for f in then] == [("acme", "z.jsonl:1")]
    assert [(a["alias"], a["method"]) for a in hippo("aliases", folder / "m", "--json")["aliases"]] == [
        ("jo o'hara", "spelling")
    ]
    shown = CliRunner().invoke(app, ["kg", "show", str(folder / "m"), "Zed", "--history", "works at"])
    assert "2020-01-01" in shown.stdout


def test_what_is_not_there_is_told(folder: Path, tmp_path: Path) -> None:
    assert "there is no file" in refused("load", folder / "m", tmp_path / "missing.txt")
    assert "there is no memory" in refused("ask", tmp_path / "nowhere", "x")


def test_namesakes_speakers_and_zones_of_a_load(folder: Path, tmp_path: Path) -> None:
    lines = [
        {"text": "John Smith lives in Leeds. He is a dentist.", "title": "a", "time": "2026-03-10T09:00+01:00"},
        {"text": "John Smith lives in Perth. He is a pilot.", "title": "b", "time": "2026-03-10T09:00+01:00"},
        {"text": "I moved to Oslo yesterday.", "title": "c", "speaker": "Mia", "time": "2026-03-10T00:30+01:00"},
    ]
    file = tmp_path / "n.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    result = CliRunner().invoke(app, ["kg", "load", str(folder / "m"), str(file)])
    assert "may be two of one name: john smith" in result.stderr
    conflicts = hippo("contradictions", folder / "m", "--json")["contradictions"]
    assert {conflict["reason"] for conflict in conflicts} == {"may be two"}
    hippo("merge", folder / "m", "john smith (b)", "john smith", "--json")
    (fact,) = hippo("show", folder / "m", "Mia", "--json")["facts"]
    assert (fact["tail"], fact["valid_from"]) == ("oslo", 1773010800.0), "midnight of 9 March where it was told"
