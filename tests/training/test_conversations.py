import json
from pathlib import Path
from typing import Any

import pytest

from agent.logs.log import read_events
from agent.models.local import LocalModel
from agent.models.tokens import plain_template
from agent.models.window import Window
from training.config import DataSettings
from training.conversations import of_log, of_row
from training.datasets import row_of
from training.errors import TrainConfigError
from training.examples import Source
from training.row_files import check_runs, read_rows
from training.rows import export
from training.tokenized import Prepared, prepare
from training.windows import IGNORED, Encoder

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tell the weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CALL = {"type": "function", "id": "a", "function": {"name": "get_weather", "arguments": '{"city": "Łódź"}'}}
ASKED = [
    {"role": "system", "content": "You help."},
    {"role": "user", "content": "Weather in Łódź?"},
    {"role": "assistant", "content": "I look.", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "a", "content": "rain"},
    {"role": "assistant", "content": "It rains."},
]


def said(row: dict[str, Any]) -> list[str]:
    """The messages of a row in one line each; a star marks what is learnt."""
    made = of_row(row, "row")
    words = zip(made.messages, made.taught, strict=True)
    return [f"{'*' * taught}{message.role}: {message.content}" for message, taught in words]


def test_a_foreign_row() -> None:
    assert said({"messages": ASKED, "tools": [WEATHER]}) == [
        "user: Weather in Łódź?",
        '*assistant: {"name":"get_weather","arguments":{"city":"Łódź"}}',
        "tool: rain",
        "*assistant: It rains.",
    ]
    made = of_row({"messages": ASKED, "tools": [WEATHER]}, "row")
    assert made.system == "You help."
    assert [spec.openai() for spec in made.tools] == [WEATHER]


@pytest.mark.parametrize(
    "tools",
    [
        json.dumps([WEATHER]),
        [WEATHER["function"]],
        [{"name": "get_weather", "description": "Tell the weather.", "parameters": {"city": {"type": "string"}}}],
    ],
)
def test_tools_in_other_forms(tools: Any) -> None:
    (spec,) = of_row({"messages": ASKED, "tools": tools}, "row").tools
    assert spec.name == "get_weather"
    assert list(spec.parameters["properties"]) == ["city"]


def test_parallel_calls_become_turns() -> None:
    calls = [CALL | {"id": name} for name in "ab"]
    results = [{"role": "tool", "tool_call_id": name, "content": f"result {name}"} for name in "ba"]
    row = {"messages": [*ASKED[:2], {"role": "assistant", "content": None, "tool_calls": calls}, *results, ASKED[-1]]}
    assert [line.split(":")[1].strip() for line in said(row)[1:]] == [
        '{"name"', "result a", '{"name"', "result b", "It rains.",
    ]  # fmt: skip
    without_results = {"messages": [*ASKED[:2], {"role": "assistant", "tool_calls": calls}]}
    assert [line.startswith("*") for line in said(without_results)] == [False, True, True]


def test_sharegpt_prompts_and_weights() -> None:
    turns = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]
    assert said({"conversations": turns}) == ["user: Hi", "*assistant: Hello"]
    assert turns[0] == {"from": "human", "value": "Hi"}  # the row itself stays
    first = [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}, {"role": "user", "content": "3"}]
    row = {"prompt": first, "completion": [{"role": "assistant", "content": "4"}]}
    assert said(row) == ["user: 1", "assistant: 2", "user: 3", "*assistant: 4"]
    weighed = [*first[:1], first[1] | {"weight": 0}, first[2], {"role": "assistant", "content": "4", "weight": 1}]
    assert said({"messages": weighed}) == said(row)


def test_parts_of_text() -> None:
    parts = [{"type": "text", "text": "Hi "}, {"type": "text", "text": "there"}]
    assert said({"messages": [{"role": "user", "content": parts}]}) == ["user: Hi there"]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"text": "Once"}, r"rows\.jsonl:3: messages: the row has text instead; expected"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "narrator", "content": "x"}]}, "'system', 'user', 'assistant' or 'tool'"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "only text can be learnt.*image"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}]},
            "tool_c",
        ),
        ({"messages": [{"role": "assistant", "tool_calls": [{"function": {"arguments": {}}}]}]}, "name"),
        ({"messages": ASKED, "tools": "[{"}, "tools"),
        ({"messages": ASKED, "tools": [3]}, r"tools\.0"),
        ({"messages": ASKED, "tools": [{"name": "f", "parameters": {"properties": 1.5}}]}, "no JSON object"),
        ({"messages": [{"role": [], "content": "x"}]}, "role"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "has no text"),
        ({"messages": [{"role": "user", "content": [{"type": [], "text": "a"}]}]}, "only text"),
        ({"messages": [ASKED[2] | {"tool_calls": [{"function": {"name": "f", "arguments": "[" * 99999}}]}]}, "no JSON"),
    ],
)
def test_other_forms_are_refused(row: dict[str, Any], words: str) -> None:
    with pytest.raises(TrainConfigError, match=words):
        of_row(row, "rows.jsonl:3")


def test_results_find_their_calls() -> None:
    """By their ids, by their names, or in order; a result of another call is nobody's else."""
    calls = [{"id": name, "type": "function", "function": {"name": name, "arguments": {}}} for name in "fg"]
    asked = [ASKED[1], {"role": "assistant", "content": None, "tool_calls": calls}]

    def results(*given: dict[str, str]) -> list[str]:
        said_lines = said({"messages": [*asked, *({"role": "tool", **one} for one in given)]})
        return [line.split(":", 1)[1].strip()[:10] for line in said_lines[1:]]

    f, g = '{"name":"f', '{"name":"g'
    assert results({"tool_call_id": "g", "content": "RG"}) == [f, g, "RG"]
    assert results({"name": "g", "content": "RG"}, {"name": "f", "content": "RF"}) == [f, "RF", g, "RG"]
    assert results({"content": "RF"}, {"content": "RG"}) == [f, "RF", g, "RG"]


def test_older_forms_and_odd_answers() -> None:
    call = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    assert said({"messages": [ASKED[1], call]})[1] == '*assistant: {"name":"f","arguments":{}}'
    assert said({"messages": [ASKED[1], {"role": "assistant"}]})[1] == "assistant: "  # nothing is no answer
    assert said({"messages": [ASKED[1], {"role": "assistant", "content": "\n\nHi\n"}]})[1] == "*assistant: Hi\n"
    beside = {"system": "S", "conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]}
    assert of_row(beside, "row").system == "S"


def test_what_is_learnt_belongs_to_what_a_conversation_is() -> None:
    turns = [*ASKED[1:2], ASKED[-1], *ASKED[1:2], ASKED[-1]]
    first, second = ([*turns[:1], turns[1] | {"weight": w}, turns[2], turns[3] | {"weight": 1 - w}] for w in (0, 1))
    assert of_row({"messages": first}, "a").key() != of_row({"messages": second}, "b").key()


@pytest.mark.model
def test_no_control_token_comes_in_through_a_tool(model: LocalModel) -> None:
    tool = {"name": "f", "description": "x<|im_end|>", "parameters": {"properties": {"<|im_start|>": {}}}}
    made = of_row({"messages": ASKED[1:2] + ASKED[-1:], "tools": [tool]}, "row")
    end = model.tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert model.tokens.opening("", made.tools).count(end) == 1


@pytest.mark.model
def test_exported_rows_teach_what_their_logs_teach(model: LocalModel, runs: Path) -> None:
    """Same windows, same labels; also without the memory's tools."""
    for without in ((), ("find", "plan_route", "explore", "where_is")):
        encoder = Encoder(model.tokens, Window(), without)
        for log in sorted(runs.rglob("events.jsonl")):
            events = read_events(log)
            row = json.loads(json.dumps(row_of(events)))
            assert list(encoder.windows(of_row(row, "row"))) == list(encoder.windows(of_log(events)))


@pytest.mark.model
def test_long_answers_of_others_fit_into_the_window(model: LocalModel) -> None:
    turns = [{"role": role, "content": "a b c d e f g h " * 20} for role in ("user", "assistant")] * 4
    examples = list(Encoder(model.tokens, Window(512)).windows(of_row({"messages": turns}, "row")))
    assert all(len(example.input_ids) <= 512 for example in examples)
    learnt = [sum(label != IGNORED for label in example.labels) for example in examples]
    assert sum(learnt) == 4 * 162  # each answer once, with the token that ends it


@pytest.mark.model
@pytest.mark.parametrize(
    ("messages", "tools"),
    [
        (ASKED, [WEATHER]),
        (ASKED[1:], [WEATHER]),
        (ASKED[:2] + ASKED[-1:], None),
        (
            [{"role": "developer", "content": "D"}, *ASKED[1:2], {"role": "system", "content": "S"}, ASKED[-1]],
            [WEATHER],
        ),
        ([{"role": "user", "content": [{"type": "text", "text": "Hi"}]}, ASKED[-1]], [{"name": "ring"}]),
    ],
)
def test_the_exported_template_renders_what_was_trained(model: LocalModel, messages: Any, tools: Any) -> None:
    """Also of what others bring: no system message, parts of text, tools without a description."""
    template = plain_template(model.tokens.template)
    text = model.tokenizer.apply_chat_template(messages, tools=tools, chat_template=template, tokenize=False)
    made = of_row({"messages": messages, "tools": tools}, "row")
    trained = "".join(model.tokenizer.decode(e.input_ids) for e in Encoder(model.tokens, Window()).windows(made))
    assert text.replace('{"city": ', '{"city":').rstrip("\n") == trained.rstrip("\n")


# whole data sets


def made(tiny: Path, folder: Path, **asked: object) -> Prepared:
    return prepare(Source(str(tiny), Window(), DataSettings.model_validate(asked)), folder, 0)


def tokens(prepared: Prepared) -> list[int]:
    return sorted(token for row in prepared.rows for token in row["input_ids"])


@pytest.fixture
def rows(runs: Path, tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    export(sorted(runs.rglob("events.jsonl")), path)
    return path


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    """Forty short conversations of somebody else."""
    path = tmp_path / "chats.jsonl"
    lines = [
        {"messages": [ASKED[0], ASKED[1] | {"content": f"Weather in place {number}?"}, *ASKED[2:]], "tools": [WEATHER]}
        for number in range(40)
    ]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return path


@pytest.mark.model
def test_rows_and_logs_are_the_same_data(tiny: Path, runs: Path, rows: Path, tmp_path: Path) -> None:
    logs, exported = made(tiny, tmp_path / "a", runs=[runs]), made(tiny, tmp_path / "b", runs=[rows])
    assert tokens(logs) == tokens(exported)
    assert exported.card["taken"] == logs.card["taken"]
    assert exported.card["sources"] == logs.card["sources"]
    both = made(tiny, tmp_path / "c", runs=[runs, rows])
    assert both.card["left_out"] == {"doubles": 24}
    with pytest.raises(TrainConfigError, match="24 of another split"):
        made(tiny, tmp_path / "d", runs=[rows], split="validation")


@pytest.mark.model
def test_rows_of_others_are_mixed_with_logs(tiny: Path, runs: Path, chats: Path, tmp_path: Path) -> None:
    card = made(tiny, tmp_path / "a", runs=[runs, chats], weights={"chats": 2.0}).card
    assert card["taken"]["chats"] == 40
    assert "file:chats.jsonl" in card["sources"]
    assert "chats.jsonl" in card["runs"]
    assert card["tokens"]["chats"] == 2 * made(tiny, tmp_path / "b", runs=[chats]).card["tokens"]["chats"]
    left = made(tiny, tmp_path / "c", runs=[runs, chats], exclude=["chats.jsonl"]).card
    assert left["left_out"] == {"excluded": 40}
    with pytest.raises(TrainConfigError, match=r"names chat\.jsonl.*file:chats\.jsonl"):
        made(tiny, tmp_path / "d", runs=[runs, chats], exclude=["chat.jsonl"])


@pytest.mark.model
def test_columns_and_folders_are_read(tiny: Path, chats: Path, tmp_path: Path) -> None:
    """Arrow fills the arguments of every call with those of all others; what is null was not said."""
    from datasets import Dataset, DatasetDict

    lines = [json.loads(line) for line in chats.read_text().splitlines()]
    for number, line in enumerate(lines):
        line["messages"][2]["tool_calls"][0]["function"]["arguments"] = {["city", "zip"][number % 2]: "x"}
    chats.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    table = Dataset.from_list(lines)
    assert "zip" in table[0]["messages"][2]["tool_calls"][0]["function"]["arguments"]
    table.to_parquet(tmp_path / "chats.parquet")
    table.save_to_disk(tmp_path / "saved")
    (tmp_path / "chats.json").write_text(json.dumps(lines))
    wanted = tokens(made(tiny, tmp_path / "a", runs=[chats]))
    for name in ("chats.parquet", "saved", "chats.json"):
        assert tokens(made(tiny, tmp_path / name[-3:], runs=[tmp_path / name])) == wanted
    DatasetDict(train=table).save_to_disk(tmp_path / "several")
    with pytest.raises(TrainConfigError, match=r"name one of .*several/train"):
        made(tiny, tmp_path / "e", runs=[tmp_path / "several"])


@pytest.mark.model
def test_a_file_named_twice_is_read_once(tiny: Path, chats: Path, tmp_path: Path) -> None:
    once, twice = (made(tiny, tmp_path / str(times), runs=[chats] * times).card for times in (1, 2))
    assert once["tokens"] == twice["tokens"]
    odd = {"messages": ASKED, "provenance": {"env": "X", "seed": "5", "world": 0, "success": 0, "steps": "9"}}
    text = {"messages": [ASKED[1] | {"content": "\ud800"}, ASKED[-1]]}
    chats.write_text(f"{json.dumps(odd)}\n{json.dumps(text)}\n")
    card = made(tiny, tmp_path / "odd", runs=[chats], most_over=2.0).card
    assert (card["left_out"], card["taken"]) == ({"unsolved": 1}, {"chats": 1})


@pytest.mark.model
def test_what_can_not_be_learnt_is_counted(tiny: Path, chats: Path, tmp_path: Path) -> None:
    with chats.open("a") as file:
        for messages in ([ASKED[1]], [{"role": "user", "content": "long " * 2000}, ASKED[-1]]):
            file.write(f"{json.dumps({'messages': messages})}\n")
    card = made(tiny, tmp_path / "a", runs=[chats]).card
    assert card["left_out"] == {"nothing to learn": 1, "too long for the window": 1}
    assert card["taken"] == {"chats": 40}


def test_damaged_files_are_told(chats: Path, tmp_path: Path) -> None:
    with chats.open("a") as file:
        file.write('{"messages": [\n')
    with pytest.raises(TrainConfigError, match=r"chats\.jsonl:41: this is no JSON"):
        list(read_rows(chats))
    chats.write_text('\n\n{"messages": []}\n')
    assert [name.rpartition(":")[2] for name, _ in read_rows(chats)] == ["3"]
    chats.write_bytes("{}".encode("utf-16"))
    with pytest.raises(TrainConfigError, match=r"this is no UTF-8"):
        list(read_rows(chats))
    chats.write_text("3\n")
    with pytest.raises(TrainConfigError, match=r"chats\.jsonl:1: expected a JSON object"):
        list(read_rows(chats))
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(TrainConfigError, match="expected a list of rows"):
        list(read_rows(tmp_path / "x.json"))
    (tmp_path / "x.parquet").write_text("{}")
    with pytest.raises(TrainConfigError, match=r"x\.parquet can't be read"):
        list(read_rows(tmp_path / "x.parquet"))
    (tmp_path / "x.csv").write_text("a,b")
    with pytest.raises(TrainConfigError, match=r"x\.csv is no data set.*\.jsonl"):
        check_runs([tmp_path / "x.csv"])


# held-out conversations


@pytest.mark.model
def test_a_share_is_kept_aside_by_worlds(tiny: Path, runs: Path, tmp_path: Path) -> None:
    whole = made(tiny, tmp_path / "a", runs=[runs])
    part = made(tiny, tmp_path / "b", runs=[runs], eval_share=0.3)
    held = part.card["held_out"]
    assert held["episodes"] + sum(part.card["taken"].values()) == 24
    assert 2 <= held["episodes"] <= 14
    both = sorted(tokens(part) + [token for row in part.held_out for token in row["input_ids"]])
    assert both == tokens(whole)
    little = made(tiny, tmp_path / "c", runs=[runs], eval_share=0.0001)
    assert 3 <= little.card["held_out"]["episodes"] <= 12  # one world of each kind, with all its visits


@pytest.mark.model
def test_what_is_learnt_is_not_measured(tiny: Path, runs: Path, chats: Path, tmp_path: Path) -> None:
    lines = chats.read_text().splitlines(keepends=True)
    other = tmp_path / "other.jsonl"
    other.write_text("".join(lines[:10]))
    chats.write_text("".join(lines[5:]))
    prepared = made(tiny, tmp_path / "a", runs=[chats], eval_runs=[other])
    assert prepared.card["held_out"]["episodes"] == 5
    with pytest.raises(TrainConfigError, match=r"none of 24 episodes of data.eval_runs \(24 of another split\)"):
        made(tiny, tmp_path / "b", runs=[chats], eval_runs=[runs])
