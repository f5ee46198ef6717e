"""Small grammars that express one meaning in several wordings, and read sentences back into meanings.

A template names its slots in braces; a part in brackets is used only if its slots are given::

    "{who} left the {what}[ in the {where}][ on {when}]."
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from envs.splits import SPLITS, Split

Forms = Mapping[Split, Sequence[str]]
"""Templates of one meaning by split; no template is in two splits."""

FRAMED = 0.3
"""Share of the sentences of the train split that are put into a frame."""

FRAMES = (
    "they say that {}", "as everyone knows, {}", "it is true that {}", "you should know that {}", "by the way, {}",
    "I heard that {}", "keep in mind that {}", "{}, they say", "{}, as everyone knows", "{}, by the way",
    "{}, or so I heard", "it may be of use to you that {}", "somebody told me that {}", "it is said that {}",
    "note that {}", "{}, I am told", "{}, that much is certain", "word has it that {}", "{}, of course",
)  # fmt: skip
"""Frames that a statement may be put into."""

_TO_DO = ("look ", "meet ", "take ", "to ", "use ")
"""Beginnings of sentences that are no statements and get no frame."""

_OPTIONAL = re.compile(r"\[([^\]]*)\]")
_SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Meaning:
    """The meaning of a sentence.

    Attributes:
        kind: Name of the meaning in its grammar.
        slots: Values of the slots by name.
    """

    kind: str
    slots: Mapping[str, str] = field(default_factory=dict)


class TemplateGrammar:
    """A grammar that words meanings with the templates of a split, and reads sentences of any split.

    Args:
        forms: Templates of each meaning.
        patterns: Regular expressions of slots; by default words without punctuation.
        frames: Frames that some sentences of the train split are put into, such as ``they say that {}``.
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
        """Return a random wording of a meaning in a split."""
        templates = self.forms[kind][split]
        sentence = fill(templates[int(rng.integers(len(templates)))], slots)
        if split == "train" and self.frames and rng.random() < FRAMED and not sentence.startswith(_TO_DO):
            sentence = self.frames[int(rng.integers(len(self.frames)))].format(sentence)
        return sentence

    def understand(self, text: str, split: Split | None = None) -> Meaning | None:
        """Return the meaning of a sentence; ``None`` if it is not of this grammar.

        Args:
            text: The whole sentence.
            split: Only the templates of this split are used; by default those of all.
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
    """Fill the slots of a template and leave out the optional parts whose slots are not given."""

    def optional(match: re.Match[str]) -> str:
        return match[1] if all(name in slots for name in _SLOT.findall(match[1])) else ""

    return _SLOT.sub(lambda match: slots[match[1]], _OPTIONAL.sub(optional, template))


@cache
def spoken(text: str) -> str:
    """Return a sentence with a capital at its beginning."""
    return text[:1].upper() + text[1:]
