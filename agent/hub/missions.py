"""Words of the missions that an adapter was trained on, to tell when a mission is in words that are new to it."""

import json
import re
from pathlib import Path

FILE = "missions.json"


def words_of(mission: str) -> set[str]:
    """Return the words of a mission in small letters; names, with a capital inside the sentence, are left out."""
    words = re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)?", mission)
    return {word.lower() for number, word in enumerate(words) if word.islower() or not number}


def new_words(adapter: Path, mission: str) -> list[str]:
    """Return the words of a mission that were in none of an adapter's training, in alphabetical order.

    Args:
        adapter: Folder of the adapter.
        mission: What is to be done.

    Returns:
        Nothing where the adapter does not say on which missions it was trained.
    """
    try:
        known = json.loads((adapter / FILE).read_text(encoding="utf-8"))["words"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return sorted(words_of(mission) - {*known})
