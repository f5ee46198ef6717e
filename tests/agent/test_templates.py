"""Our chat templates, for every family of the catalogue."""

import json

import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment
from transformers.utils.chat_template_utils import render_jinja_template

from agent.models.endpoint import listed
from agent.models.tokens import plain_template
from agent.prompts import template
from tools import Tool, Toolbox, ToolCall
from tools.actions import action_tools

POST = {
    "properties": {
        "to": {"type": "string", "description": 'Who gets it: a "name"'},
        "day": {"type": "string", "default": "today"},
        "copies": {"type": "integer", "default": 1, "description": "How many"},
        "note": {"type": "string"},
    },
    "required": ["to"],
}
POST_LINE = 'post(to, day="today", copies=1, note?): Send a letter. to: Who gets it: a "name"; copies: How many'
ACTIONS = action_tools({"ahead": (1, "step ahead"), "back": (0, "step back")})
BOX = Toolbox([*ACTIONS, Tool.from_schema("post", "Send a letter", POST, print)])
CALL = ToolCall(name="ahead", arguments={"note": 'say "hi" <now>'})
MESSAGES = [
    {"role": "system", "content": "You act."},
    {"role": "user", "content": "A door."},
    {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": CALL.model_dump()}]},
    {"role": "tool", "content": "Another door."},
    {"role": "assistant", "content": "words that are no call"},
]
ENDS = {"chatml": "<|im_end|>", "llama3": "<|eot_id|>", "phi3": "<|end|>"}


def rendered(family: str, messages: list[dict[str, object]]) -> tuple[str, list[tuple[int, int]]]:
    texts, spans = render_jinja_template(
        [messages],
        tools=[spec.openai() for spec in BOX.specs()],
        chat_template=template(f"chat/{family}.jinja"),
        return_assistant_tokens_mask=True,
        bos_token="<bos>",
    )
    return texts[0], spans[0]


@pytest.mark.parametrize("family", ENDS)
def test_tools_and_calls_are_shown(family: str) -> None:
    text, _ = rendered(family, MESSAGES)
    assert f"\nahead(): step ahead\nback(): step back\n{POST_LINE}\n" in text
    assert listed(BOX.specs()) in text  # servers are told in the same words
    assert CALL.text() in text
    assert "Another door." in text


@pytest.mark.parametrize("family", ENDS)
def test_the_loss_is_taken_over_the_assistants_words_only(family: str) -> None:
    text, spans = rendered(family, MESSAGES)
    assert [text[a:b] for a, b in spans] == [
        CALL.text() + ENDS[family],
        "words that are no call" + ENDS[family],
    ]


@pytest.mark.parametrize("family", ENDS)
def test_arguments_may_be_json_strings(family: str) -> None:
    function = {"name": CALL.name, "arguments": json.dumps(CALL.arguments, separators=(",", ":"))}
    strings = [
        *MESSAGES[:2],
        {**MESSAGES[2], "tool_calls": [{"type": "function", "function": function}]},
        *MESSAGES[3:],
    ]
    assert rendered(family, strings) == rendered(family, MESSAGES)


@pytest.mark.parametrize("family", ENDS)
def test_the_template_of_an_exported_model_renders_the_same_in_plain_jinja(family: str) -> None:
    plain = plain_template(template(f"chat/{family}.jinja"))
    assert "generation" not in plain.replace("add_generation_prompt", "").replace("generation marks", "")
    environment = ImmutableSandboxedEnvironment()  # knows no marks, as other programs do not
    environment.filters["tojson"] = lambda value, **options: json.dumps(value, ensure_ascii=False, **options)
    text = environment.from_string(plain).render(
        messages=MESSAGES, tools=[spec.openai() for spec in BOX.specs()], bos_token="<bos>"
    )
    assert text == rendered(family, MESSAGES)[0]
