"""Words of missions that are new to an adapter."""

from pathlib import Path

import pytest

from agent.hub import adapters
from agent.hub.missions import new_words, words_of


def test_names_and_numbers_are_no_words() -> None:
    assert words_of("Bring the 3 red keys to Bo's old barn.") == {"bring", "the", "red", "keys", "to", "old", "barn"}


@pytest.mark.parametrize(
    ("mission", "new"),
    [
        ("go to the red ball", []),
        ("put the green box next to the grey key", []),
        ("use the key to open the door and then get to the goal", ["use"]),
        ("avoid the lava and get to the green goal", ["avoid", "lava"]),
    ],
)
def test_the_shipped_adapter_knows_its_words(mission: str, new: list[str]) -> None:
    found = new_words(adapters.resolve(adapters.SHIPPED), mission)
    assert set(new) <= set(found)
    assert bool(found) is bool(new)


def test_an_adapter_without_a_list_says_nothing(tmp_path: Path) -> None:
    assert new_words(tmp_path, "fly to the moon") == []
