"""Prepositional phrases of a clause: "lives in Rome", "is on Monday", "works at the dairy"."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from memory.relational.language.tense import When
from memory.relational.parse import joined, prepositions
from memory.relational.participants import Participants
from memory.relational.stated import OBLIQUE, Named, Stated, every
from memory.relational.typed import Oblique, oblique

if TYPE_CHECKING:
    from spacy.tokens import Token


_SIDES = {"front", "middle", "side", "back", "top", "bottom", "charge", "favour", "favor"}


class Obliques:
    """Reader of prepositional phrases.

    Args:
        names: Reader of the names in the sentence.
    """

    def __init__(self, names: Participants) -> None:
        self.names = names

    def of(
        self, subjects: list[Named], relation: str, preposition: "Token", moment: When, stative: bool
    ) -> Iterator[Stated]:
        """Yield what the objects of a preposition say of the subjects."""
        for noun in (child for child in preposition.children if child.dep_ == "pobj"):
            of = next((c for c in noun.children if c.lower_ == "of" and c.dep_ == "prep"), None)
            if noun.lower_ in _SIDES and of is not None:  # "in front of the clinic"
                yield from every(
                    subjects, f"{relation}_{preposition.lower_}_{noun.lower_}_of", self.names.objects_of(of), OBLIQUE
                )
                continue
            named: dict[str, list[Named]] = {}
            for one in [noun, *joined(noun)]:
                found = oblique(relation, preposition, one, moment, stative)
                if isinstance(found, Oblique):
                    yield from every(subjects, found.relation, [(found.tail, 1.0)], OBLIQUE)
                elif found is not None:
                    named.setdefault(found, []).extend(self.names.entities(one, with_joined=False))
                if isinstance(found, Oblique) or found is None:
                    for inner in (c for c in prepositions(one) if c.lower_ in ("at", "in", "for") and c.head == one):
                        yield from self.of(subjects, relation, inner, moment, stative)
            for own, tails in named.items():
                yield from every(subjects, own, tails, OBLIQUE)
