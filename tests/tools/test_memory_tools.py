import pytest

from memory import Memory, Provenance
from memory.relational import Tuple
from memory.spatial import Cell, View
from tools import MemoryTools, Toolbox, ToolCall, ToolContext, UnknownToolError


def ask(memory: Memory, name: str, **arguments: str) -> str:
    return Toolbox(MemoryTools(memory).select()).dispatch(ToolCall(name=name, arguments=arguments)).text


def test_what_is_remembered_is_recalled_with_its_origin(memory: Memory) -> None:
    tools = MemoryTools(memory)
    tools.update(ToolContext("episode 2", step=5))
    box = Toolbox(tools.select())
    noted = box.dispatch(ToolCall(name="remember", arguments={"text": "the key opens the box"}))
    assert noted.text == "noted"
    trace = memory.episodic.get(noted.data["trace"])
    assert trace.pinned
    assert (trace.provenance[0].source, trace.provenance[0].doc_id) == ("agent", "episode 2")
    assert ask(memory, "recall", cue="which key opens") == "[step 5] the key opens the box"


def test_recall_says_which_words_of_the_cue_are_missing(memory: Memory) -> None:
    memory.episodic.write("Rita left the broken clock", {"when": "Friday noon", "where": "attic"}, origin="env")
    told = "[Friday noon at attic] Rita left the broken clock"
    assert ask(memory, "recall", cue="Rita broken clock Friday attic") == told
    assert ask(memory, "recall", cue="What did Rita's sister leave in the attic?") == f"{told} (without: sister leave)"
    assert ask(memory, "recall", cue="clock 12") == f"{told} (without: 12)"
    tools = MemoryTools(memory)
    box = Toolbox(tools.select())
    seen = box.dispatch(ToolCall(name="recall", arguments={"cue": "clock 12"})).text
    assert "remembered already" in box.dispatch(ToolCall(name="remember", arguments={"text": seen})).text


def test_an_entitys_own_facts_come_first_and_are_not_crowded_out(memory: Memory) -> None:
    memory.relational.upsert([Tuple("mara", "born in", "linz", Provenance("env"))])
    memory.relational.upsert([Tuple(f"person {i}", "has boss", "mara", Provenance("env")) for i in range(20)])
    assert ask(memory, "ask_graph", entity="mara").startswith("mara born in linz; ")


def test_what_was_recalled_is_not_written_again(memory: Memory) -> None:
    tools = MemoryTools(memory)
    tools.update(ToolContext("one"))
    box = Toolbox(tools.select())
    first = memory.episodic.write("Ada keeps the silver key in the attic", origin="env")

    def call(name: str, **arguments: str) -> tuple[str, str]:
        result = box.dispatch(ToolCall(name=name, arguments=arguments))
        return result.status, result.text

    assert call("remember", text="the silver key")[0] == "ok"
    call("recall", cue="silver key")
    assert call("remember", text="Ada keeps the silver key") == ("failed", f"that is trace {first}, remembered already")
    assert call("remember", text="Ada no longer keeps the silver key")[0] == "ok"
    assert call("remember", text="the key keeps Ada in the silver attic")[0] == "ok"  # other words of the same
    assert call("remember", text="!?")[0] == "ok"
    assert call("tell", head="silver key", relation="is at", tail="attic")[0] == "ok"
    fact = memory.inspect(("facts", 1))
    assert fact is not None
    assert fact["derived_from"] == [f"traces:{first}"]
    assert memory.forget(source="env").removed == {"traces": 1, "facts": 1}
    assert call("remember", text="Ada keeps the silver key")[0] == "ok"
    tools.update(ToolContext("two"))
    assert call("remember", text="the silver key")[0] == "ok"


def test_facts_are_told_and_asked(memory: Memory) -> None:
    assert ask(memory, "tell", head="Ada", relation="lives in", tail="red room") == "noted"
    assert ask(memory, "ask_graph", entity="ada") == "Ada lives in red room"


def test_only_what_exists_is_offered(memory: Memory, origin: Provenance) -> None:
    box = Toolbox(MemoryTools(memory).select())
    assert [spec.name for spec in box.offer()] == ["recall", "remember", "tell"]
    ask(memory, "tell", head="Ada", relation="likes", tail="tea")
    memory.spatial.enter("room")
    memory.spatial.observe("", View((Cell(1, 0, "red ball", False),)), None, origin=origin)
    offers = {spec.name: spec.parameters["properties"] for spec in box.offer()}
    assert offers["ask_graph"]["entity"]["enum"] == ["Ada", "tea"]
    assert offers["plan_route"]["goal"]["enum"] == ["red ball", "ball"]
    assert ask(memory, "plan_route", goal="red ball") == "red ball: you are there"


def test_an_impossible_route_fails_and_says_why(memory: Memory, origin: Provenance) -> None:
    memory.spatial.enter("room")
    memory.spatial.observe("", View((Cell(2, 0, "red ball", False),)), None, origin=origin)
    box = Toolbox(MemoryTools(memory).select())
    result = box.dispatch(ToolCall(name="plan_route", arguments={"goal": "red ball"}))
    assert (result.status, "no known way" in result.text) == ("failed", True)


def test_swapping_the_memory_swaps_the_answer(memory: Memory) -> None:
    other = Memory.open(None, memory.embedder)
    ask(memory, "remember", text="the platform is north")
    ask(other, "remember", text="the platform is south")
    answers = [ask(m, "recall", cue="where is the platform") for m in (memory, other)]
    assert ["north" in a for a in answers] == [True, False]
    other.close()


def test_selection_by_name(memory: Memory) -> None:
    tools = MemoryTools(memory)
    assert [t.name for t in tools.select(["tell", "recall"])] == ["tell", "recall"]
    assert tools.select([]) == []
    with pytest.raises(UnknownToolError, match="did you mean recall"):
        tools.select(["recal"])


def test_tell_writes_what_means_the_same_in_the_same_words(memory: Memory) -> None:
    ask(memory, "tell", head="Ada", relation="owns", tail="the grey key")
    ask(memory, "tell", head="Bo", relation="owns", tail="the grey key")
    ask(memory, "tell", head="Bo", relation="moves to", tail="Rome")
    assert {str(fact) for fact in memory.relational.ask("Bo", 9)} == {"grey key owned by bo", "bo lives in rome"}
    assert [fact.tail for fact in memory.relational.history("grey key", "owned_by")] == ["ada", "bo"]
