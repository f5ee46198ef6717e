import itertools

import numpy as np
import pytest

import envs
from envs import EnvConfigError, courier_words, episodic_qa, multi_hop_words
from envs.babyai_mixed import MISSIONS
from envs.language import Meaning, TemplateGrammar, fill
from envs.names import CITIES, COMPANIES, PEOPLE, SPOTS, THINGS
from envs.splits import SEEDS, SPLITS, layout_split, part, seeds_of, split_of

GRAMMARS = {
    "mixed": MISSIONS, "told": courier_words.TELLING, "errands": courier_words.ASKING, "events": episodic_qa.WORDS,
    "facts": multi_hop_words.TELLING, "questions": multi_hop_words.ASKING,
}  # fmt: skip
VALUES = {
    "thing": "the red ball", "other": "a blue key", "item": "green box", "room": "grey", "day": "2", "who": "Ada",
    "whom": "Bo", "bell": courier_words.BELL, "what": "silver lamp", "where": "attic", "when": "Monday noon",
    "city": "Oslo", "firm": "Arco", "tie": "boss", "person": "the teacher of Ada's boss",
}  # fmt: skip


def slots_of(template: str) -> dict[str, str]:
    return {name: value for name, value in VALUES.items() if f"{{{name}}}" in template}


def test_a_seed_says_its_split() -> None:
    assert [split_of(seed) for seed in (0, SEEDS - 1, SEEDS, 2 * SEEDS, 9 * SEEDS)] == [
        "train",
        "train",
        "validation",
        "test",
        "test",
    ]
    assert [split_of(seeds_of(split).start) for split in SPLITS] == list(SPLITS)
    with pytest.raises(EnvConfigError, match="unknown split 'dev': expected train, validation, test"):
        seeds_of("dev")


@pytest.mark.parametrize("names", [PEOPLE, CITIES, COMPANIES, THINGS, SPOTS])
def test_names_belong_to_one_split(names: tuple[str, ...]) -> None:
    parts = [set(part(names, split)) for split in SPLITS]
    assert set.union(*parts) == set(names)
    assert len(set(names)) == len(names)
    assert all(not one & other for one, other in itertools.combinations(parts, 2))
    assert all(len(one) >= 3 for one in parts)


@pytest.mark.parametrize("grammar", GRAMMARS.values(), ids=GRAMMARS)
def test_no_template_of_one_split_can_be_said_in_another(grammar: TemplateGrammar) -> None:
    for kind, forms in grammar.forms.items():
        for split in SPLITS:
            assert forms[split], f"{kind} can't be said in {split}"
            for template in forms[split]:
                words = fill(template, slots_of(template))
                for other in SPLITS:
                    meaning = grammar.understand(words, other)
                    assert (meaning is not None) == (other == split), (words, other)


@pytest.mark.parametrize("grammar", GRAMMARS.values(), ids=GRAMMARS)
def test_what_is_said_is_understood(grammar: TemplateGrammar) -> None:
    for kind, forms in grammar.forms.items():
        for template in itertools.chain(*forms.values()):
            given = slots_of(template)
            assert grammar.understand(fill(template, given)) == Meaning(kind, given)


def test_frames_are_for_training_alone_and_understood() -> None:
    said = {"x": {"train": ["{who} left"], "validation": ["{who} went"], "test": ["off went {who}"]}}
    grammar = TemplateGrammar(said, {"who": "[A-Z][a-z]+"}, ["they say that {}", "{}, by the way"])
    rng = np.random.default_rng(0)
    found = {split: {grammar.say("x", split, rng, who="Ada") for _ in range(60)} for split in SPLITS}
    assert found["train"] == {"Ada left", "they say that Ada left", "Ada left, by the way"}
    assert found["validation"] == {"Ada went"}
    assert found["test"] == {"off went Ada"}
    assert all(grammar.understand(words, "train") == Meaning("x", {"who": "Ada"}) for words in found["train"])
    assert grammar.understand("they say that Ada left", "test") is None


def test_optional_parts_are_left_out() -> None:
    grammar = TemplateGrammar({"x": {"train": ["who left {what}[ in {where}]"], "validation": [], "test": []}})
    rng = np.random.default_rng(0)
    assert grammar.say("x", "train", rng, what="it") == "who left it"
    assert grammar.say("x", "train", rng, what="it", where="town") == "who left it in town"
    assert grammar.understand("who left it") == Meaning("x", {"what": "it"})
    assert grammar.understand("who took it") is None


@pytest.mark.parametrize("name", ["hippo/BabyAIMixed-v0", "hippo/WaterMaze-v0", "hippo/Courier-v0"])
def test_layouts_belong_to_one_split(name: str) -> None:
    env = envs.make(name)
    visits = env.get_wrapper_attr("visits")
    layouts: dict[str, set[bytes]] = {}
    for split in SPLITS:
        start = -(-seeds_of(split).start // visits) * visits
        found = layouts.setdefault(split, set())
        for world in range(60):
            env.reset(seed=start + world * visits)
            world_env = env.unwrapped
            found.add(world_env.grid.encode().tobytes() + bytes(map(int, world_env.agent_pos)))  # type: ignore[attr-defined]
        assert len(found) == 60
    assert not layouts["train"] & layouts["test"]
    assert not layouts["train"] & layouts["validation"]


def test_layouts_are_drawn_until_they_are_the_splits() -> None:
    env = envs.make("hippo/BabyAIMixed-v0").unwrapped
    for split in SPLITS:
        for seed in seeds_of(split)[:30]:
            env.reset(seed=seed)
            pose = bytes((*map(int, env.agent_pos), int(env.agent_dir)))  # type: ignore[attr-defined]
            assert layout_split(env.grid.encode().tobytes() + pose) == split  # type: ignore[attr-defined]


def test_a_layout_is_always_of_the_same_split() -> None:
    counts = [layout_split(str(number).encode()) for number in range(5000)]
    assert 0.55 < counts.count("train") / 5000 < 0.65
    assert counts[:3] == [layout_split(str(number).encode()) for number in range(3)]
