"""Questions about the passages of a public data set."""

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
"""Greatest number of characters in one observation; a longer passage is told in parts."""

MAX_HEAD = 80
"""Greatest number of characters of the title or time before a part."""


class DocumentQA(ListenAndAnswer):
    """A world in which passages of a data set are told, then one of its questions is asked.

    ## Description
    Each world is one question of the data set. On the first visit the passages that answer it are told among others of
    the same corpus, in parts of a few sentences; on the second visit the question is asked. Questions are split into
    train, validation and test by a checksum of their ids. All text is reduced to ASCII, ``Zoe`` for ``Zoë``. No data
    set is included: give a folder in one of the formats of :mod:`envs.corpora`.

    ## Mission
    ``listen, and keep in mind what you are told``, then ``answer:`` and the question.

    ## Actions
    Text. ``self.named_actions`` has ``next``, the empty text, to hear the next part.

    ## Observation
    Text: a passage or a part of one; later a prompt for an answer.

    ## Reward
    1 for the right answer (ignoring case, articles and punctuation), else 0. Ingestion has no reward and succeeds.

    ## Termination
    Everything was told, or an answer was given.

    ## Registered ids
    ``hippo/DocumentQA-v0``

    Args:
        path: Folder of the data set.
        format: ``hotpotqa``, ``2wiki``, ``musique`` or ``locomo``.
        passages: Number of passages that are told, including those that answer the question, 1 to 200.
        render_mode: ``None``, ``"ansi"`` or ``"rgb_array"``.

    Raises:
        EnvConfigError: A setting is out of range, or there is no path.
        DataError: The data set is missing, has another format, or has no question for a split.
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
        """Make the session of one question: its passages among others of the corpus."""
        chosen = _loaded(self.format, self.path)[split]
        if not chosen:
            raise DataError(f"{self.path} has no question for the split {split}: it is too small to be split")
        corpus, question = chosen[world_seed % len(chosen)]
        gold = [document for document in corpus.documents if document.id in question.gold]
        others = [document for document in corpus.documents if document.id not in question.gold]
        some = rng.permutation(len(others))[: max(0, self.passages - len(gold))]
        passages = [*gold, *(others[int(i)] for i in some)]
        parts = [part for i in rng.permutation(len(passages)) for part in _parts(passages[int(i)])]
        kind = question.kind or self.format
        return Session([parts], [Asked(kind, plain(question.text), (plain(question.answer),), ("episodes",))])

    def understand(self, text: str) -> list[Meaning]:  # noqa: ARG002
        """Return nothing: the texts come from no grammar."""
        return []


@lru_cache(maxsize=4)
def _loaded(kind: str, path: str) -> dict[Split, list[tuple[Corpus, Question]]]:
    """Load a data set and return the questions of each split."""
    by_split: dict[Split, list[tuple[Corpus, Question]]] = {"train": [], "validation": [], "test": []}
    for corpus in load(kind, Path(path)):
        for question in corpus.questions:
            by_split[layout_split(question.id.encode())].append((corpus, question))
    return by_split


def _parts(document: Document) -> Iterator[str]:
    """Cut a passage into parts of whole sentences, each with its time and title."""
    head = "".join(f"{plain(words)[:MAX_HEAD]}: " for words in (document.when, document.title) if words)
    part = ""
    sentences = re.split(r"(?<=[.!?])\s+", " ".join(plain(document.text).split()))
    for piece in (piece for sentence in sentences for piece in textwrap.wrap(sentence, MAX_PASSAGE)):
        if part and len(part) + 1 + len(piece) > MAX_PASSAGE:
            yield head + part
            part = ""
        part = f"{part} {piece}".strip()
    yield head + part
