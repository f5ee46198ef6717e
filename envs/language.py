"""Small grammars that say one thing in several ways, and understand what they say.

A template names its slots in braces; a part in brackets is said only if its slots are given::

    "{who} left the {what}[ in the {where}][ on {when}]."
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from envs.splits import SPLITS, Split

Forms = Mapping[Split, Sequence[str]]
"""Templates of one meaning; those of validation and test are used nowhere else."""

FRAMED = 0.3
"""How many sentences to train on stand in a frame."""

FRAMES = (
    "they say that {}", "as everyone knows, {}", "it is true that {}", "you should know that {}", "by the way, {}",
    "I heard that {}", "keep in mind that {}", "{}, they say", "{}, as everyone knows", "{}, by the way",
    "{}, or so I heard", "it may be of use to you that {}", "somebody told me that {}", "it is said that {}",
    "note that {}", "{}, I am told", "{}, that much is certain", "word has it that {}", "{}, of course",
)  # fmt: skip
"""Frames of what is told."""

_TO_DO = ("look ", "meet ", "take ", "to ", "use ")
"""Beginnings of what is no statement, and stands in no frame."""

_OPTIONAL = re.compile(r"\[([^\]]*)\]")
_SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Meaning:
    """What a sentence says.

    Attributes:
        kind: Name of the meaning in its grammar.
        slots: Values by name.
    """

    kind: str
    slots: Mapping[str, str] = field(default_factory=dict)


class TemplateGrammar:
    """Says meanings with the templates of a split, and reads sentences of any split.

    Args:
        forms: Templates of each meaning.
        patterns: Regular expressions of slots; by default words without punctuation.
        frames: What a sentence of the train split stands in, now and then: ``they say that {}``.
    """

    def __init__(
        self, forms: Mapping[str, Forms], patterns: Mapping[str, str] | None = None, frames: Sequence[str] = ()
    ) -> None:
        self.forms = forms
        self.patterns = patterns or {}
        self.frames = frames
        self._readers: list[tuple[str, Split, re.Pattern[str]]] = [
            (kind, split, re.compile(self._regex(template)))
            for kind, by_split in forms.items()
            for split in SPLITS
            for template in by_split[split]
        ]

    def say(self, kind: str, split: Split, rng: np.random.Generator, **slots: str) -> str:
        """One of the ways of a split to say something."""
        templates = self.forms[kind][split]
        said = fill(templates[int(rng.integers(len(templates)))], slots)
        if split == "train" and self.frames and rng.random() < FRAMED and not said.startswith(_TO_DO):
            said = self.frames[int(rng.integers(len(self.frames)))].format(said)
        return said

    def understand(self, text: str, split: Split | None = None) -> Meaning | None:
        """What a sentence means, ``None`` if it is not of this grammar.

        Args:
            text: The whole sentence.
            split: Read with the templates of this split only.
        """
        for kind, of, pattern in self._readers:
            if (split is None or of == split) and (match := pattern.fullmatch(text)):
                return Meaning(kind, {name: value for name, value in match.groupdict().items() if value is not None})
        for before, after in (frame.split("{}") for frame in self.frames) if split in (None, "train") else ():
            if text.startswith(before) and text.endswith(after):
                return self.understand(text[len(before) : len(text) - len(after)], split)
        return None

    def _regex(self, template: str) -> str:
        parts = []
        for index, piece in enumerate(_OPTIONAL.split(template)):
            read = self._slots(piece)
            parts.append(f"(?:{read})?" if index % 2 else read)
        return "".join(parts)

    def _slots(self, piece: str) -> str:
        seen: set[str] = set()
        read = ""
        for index, word in enumerate(_SLOT.split(piece)):
            if index % 2 == 0:
                read += re.escape(word)
            elif word in seen:
                read += f"(?P={word})"
            else:
                seen.add(word)
                read += f"(?P<{word}>{self.patterns.get(word, '[^.,?:]+?')})"
        return read


def fill(template: str, slots: Mapping[str, str]) -> str:
    """A template with its slots filled and the optional parts that have none left out."""

    def optional(match: re.Match[str]) -> str:
        return match[1] if all(name in slots for name in _SLOT.findall(match[1])) else ""

    return _SLOT.sub(lambda match: slots[match[1]], _OPTIONAL.sub(optional, template))


@cache
def spoken(text: str) -> str:
    """A sentence with a capital at its beginning."""
    return text[:1].upper() + text[1:]
