"""Questions over the passages of a public data set."""

import re
import textwrap
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np

from envs.corpora import Corpus, Document, Question, load
from envs.errors import DataError, EnvConfigError
from envs.language import Meaning
from envs.questions import (
    Asked,
    ListenAndAnswer,
    Session,
    plain,
)
from envs.settings import check_range
from envs.splits import Split, layout_split

MAX_PASSAGE = 400
"""Characters told at once, so that an observation stays short; a longer passage is told in parts."""

MAX_HEAD = 80
"""Characters of a title or a time before them."""


class DocumentQA(ListenAndAnswer):
    """Passages of a data set are told, then one of its questions is asked.

    ## Description
    Each world is one question of the set. On the first visit the passages that answer it are told among others of
    the same corpus, in parts of a few sentences; on the second the question is asked. Questions are split into train,
    validation and test by a checksum of their ids. All is told in plain letters, ``Zoe`` for ``Zoë``. Point to a
    folder in one of the formats of :mod:`envs.corpora`; none is shipped.

    ## Mission
    ``listen, and keep in mind what you are told``, then ``answer:`` and the question.

    ## Actions
    Text. ``self.named_actions`` has ``next``, the empty text, to hear on.

    ## Observation
    Text: a passage or a part of one, or that an answer is waited for.

    ## Reward
    1 for the right answer (no case, articles or punctuation), else 0. Listening has none, and succeeds.

    ## Termination
    All was told, or an answer was given.

    ## Registered ids
    ``hippo/DocumentQA-v0``

    Args:
        path: Folder of the data set.
        format: ``hotpotqa``, ``2wiki``, ``musique`` or ``locomo``.
        passages: How many are told, those that answer the question among them, 1 to 200.
        render_mode: ``None``, ``"ansi"`` or ``"rgb_array"``.

    Raises:
        EnvConfigError: A setting out of range, or no path.
        DataError: The data set is not there, not in that format, or has no question for a split.
    """

    name = "document_qa"
    expert = "documents"

    def __init__(
        self,
        path: str | Path | None = None,
        format: str = "hotpotqa",  # noqa: A002
        passages: int = 8,
        render_mode: str | None = None,
    ) -> None:
        if path is None:
            raise EnvConfigError(
                "DocumentQA needs a data set: give env.kwargs.path=FOLDER and env.kwargs.format=hotpotqa "
                "(see envs/corpora.py)"
            )
        check_range("passages", passages, 1, 200)
        self.path = str(path)
        self.format = format
        self.passages = passages
        self.name = f"document_qa-{Path(path).name}-{passages}"
        _loaded(format, self.path)
        super().__init__(1, 1, render_mode)

    def write_session(self, world_seed: int, split: Split, rng: np.random.Generator) -> Session:
        """One question with its passages and others of the corpus."""
        chosen = _loaded(self.format, self.path)[split]
        if not chosen:
            raise DataError(f"{self.path} has no question for the split {split}: it is too small to be split")
        corpus, asked = chosen[world_seed % len(chosen)]
        gold = [document for document in corpus.documents if document.id in asked.gold]
        others = [document for document in corpus.documents if document.id not in asked.gold]
        some = rng.permutation(len(others))[: max(0, self.passages - len(gold))]
        told = [*gold, *(others[int(i)] for i in some)]
        parts = [part for i in rng.permutation(len(told)) for part in _parts(told[int(i)])]
        kind = asked.kind or self.format
        return Session([parts], [Asked(kind, plain(asked.text), (plain(asked.answer),), ("episodes",))])

    def understand(self, text: str) -> list[Meaning]:  # noqa: ARG002
        """Nothing: this is no grammar."""
        return []


@lru_cache(maxsize=4)
def _loaded(kind: str, path: str) -> dict[Split, list[tuple[Corpus, Question]]]:
    """The questions of each split."""
    found: dict[Split, list[tuple[Corpus, Question]]] = {"train": [], "validation": [], "test": []}
    for corpus in load(kind, Path(path)):
        for question in corpus.questions:
            found[layout_split(question.id.encode())].append((corpus, question))
    return found


def _parts(document: Document) -> Iterator[str]:
    """A passage in parts of whole sentences, each with its title and time."""
    head = "".join(f"{plain(words)[:MAX_HEAD]}: " for words in (document.when, document.title) if words)
    part = ""
    sentences = re.split(r"(?<=[.!?])\s+", " ".join(plain(document.text).split()))
    for piece in (piece for sentence in sentences for piece in textwrap.wrap(sentence, MAX_PASSAGE)):
        if part and len(part) + 1 + len(piece) > MAX_PASSAGE:
            yield head + part
            part = ""
        part = f"{part} {piece}".strip()
    yield head + part
