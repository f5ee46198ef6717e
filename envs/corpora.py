"""Public question-answering data sets as passages and questions; none is included, the user names a folder.

A folder holds ``questions.json`` and ``corpus.json``:

- ``hotpotqa`` (Yang et al. 2018): questions with ``supporting_facts``; the corpus maps a title to sentences.
- ``2wiki`` (Ho et al. 2020): ``supporting_facts`` or ``gold_titles``; the corpus is a list of ``{title, text}``.
- ``musique`` (Trivedi et al. 2022): questions with ``paragraphs`` of ``{title, paragraph_text, is_supporting}``;
  the corpus is a list of ``{title, text}``.
- ``locomo`` (Maharana et al. 2024): the file ``locomo10.json``; each conversation is a corpus, each turn a passage.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envs.errors import DataError

Json = Any


@dataclass(frozen=True)
class Document:
    """A passage of a corpus."""

    id: str
    title: str
    text: str
    when: str = ""


@dataclass(frozen=True)
class Question:
    """A question, with the ids of the passages that are needed together to answer it."""

    id: str
    text: str
    answer: str
    gold: frozenset[str]
    kind: str = ""


@dataclass(frozen=True)
class Corpus:
    """A set of passages with questions about them."""

    name: str
    documents: tuple[Document, ...]
    questions: tuple[Question, ...]


def load(kind: str, path: Path) -> list[Corpus]:
    """Read a data set.

    Args:
        kind: ``hotpotqa``, ``2wiki``, ``musique`` or ``locomo``.
        path: Folder of the data set; for ``locomo`` the file is accepted too.

    Raises:
        DataError: The kind is unknown, or a file is missing or has another format; the message says what was expected.
    """
    if kind not in FORMATS:
        raise DataError(f"unknown format {kind!r}: expected one of {', '.join(FORMATS)}")
    try:
        corpora = FORMATS[kind](path)
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{path} is not in the format {kind}: {type(error).__name__} {error}; see envs/corpora.py"
        ) from error
    if any(not isinstance(question.text, str) for corpus in corpora for question in corpus.questions):
        raise DataError(f"{path} holds a question that is no text")
    corpora = [corpus for corpus in corpora if corpus.documents]
    count = sum(len(corpus.questions) for corpus in corpora)
    if not count:
        raise DataError(f"{path} holds no question whose passages are in the corpus; is it in the format {kind}?")
    return corpora


def _read(path: Path) -> Json:
    if not path.is_file():
        raise DataError(f"there is no {path.name} in {path.parent}")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path} is not JSON: {error}") from error


def _corpus(name: str, documents: Sequence[Document], questions: Sequence[Question]) -> list[Corpus]:
    """Make one corpus; questions whose passages are not in it are left out."""
    known = {document.id for document in documents}
    return [Corpus(name, tuple(documents), tuple(q for q in questions if q.gold and q.gold <= known))]


def _titled(pairs: Sequence[tuple[str, str]]) -> list[Document]:
    """Make passages whose ids are their titles, numbered where several have the same title."""
    seen: dict[str, int] = {}
    documents = []
    for title, text in pairs:
        seen[title] = seen.get(title, 0) + 1
        documents.append(Document(title if seen[title] == 1 else f"{title}#{seen[title]}", title, text))
    return documents


def _hotpotqa(path: Path) -> list[Corpus]:
    corpus = _read(path / "corpus.json")
    documents = _titled([(title, "".join(sentences).strip()) for title, sentences in corpus.items()])
    questions = [
        Question(
            str(item.get("_id", number)),
            item["question"],
            str(item.get("answer", "")),
            frozenset(title for title, _ in item["supporting_facts"]),
            item.get("type", ""),
        )
        for number, item in enumerate(_read(path / "questions.json"))
    ]
    return _corpus("hotpotqa", documents, questions)


def _texts(corpus: Json) -> list[Document]:
    if isinstance(corpus, Mapping):
        return _titled([(t, "".join(text) if isinstance(text, list) else text) for t, text in corpus.items()])
    return _titled([(item["title"], item["text"]) for item in corpus])


def _2wiki(path: Path) -> list[Corpus]:
    questions = [
        Question(
            str(item.get("_id", number)),
            item["question"],
            str(item.get("answer", "")),
            frozenset(item["gold_titles"] if "gold_titles" in item else [fact[0] for fact in item["supporting_facts"]]),
            item.get("type", ""),
        )
        for number, item in enumerate(_read(path / "questions.json"))
    ]
    return _corpus("2wiki", _texts(_read(path / "corpus.json")), questions)


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def _musique(path: Path) -> list[Corpus]:
    documents = _texts(_read(path / "corpus.json"))
    by_words = {(_words(d.title), _words(d.text)): d.id for d in documents}
    by_text = {_words(d.text): d.id for d in documents}
    questions = []
    for number, item in enumerate(_read(path / "questions.json")):
        gold = [p for p in item["paragraphs"] if p["is_supporting"]]
        pairs = [(_words(p["title"]), _words(p.get("paragraph_text", p.get("text", "")))) for p in gold]
        ids = [by_words.get(pair, by_text.get(pair[1], "?")) for pair in pairs]
        kind = f"{len(gold)} hops"
        questions.append(
            Question(str(item.get("id", number)), item["question"], str(item.get("answer", "")), frozenset(ids), kind)
        )
    return _corpus("musique", documents, questions)


_CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open", 4: "single-hop", 5: "adversarial"}


def _locomo(path: Path) -> list[Corpus]:
    file = (
        path
        if path.is_file()
        else next(
            (f for f in (path / "locomo10.json", *sorted(path.glob("*.json"))) if f.is_file()), path / "locomo10.json"
        )
    )
    data = _read(file)
    return [_conversation(sample, number) for number, sample in enumerate(data)]


def _conversation(sample: Json, number: int) -> Corpus:
    talk = sample["conversation"]
    documents = []
    sessions = sorted((name for name in talk if re.fullmatch(r"session_\d+", name)), key=lambda n: int(n[8:]))
    for session in sessions:
        when = str(talk.get(f"{session}_date_time", ""))
        for turn in talk[session]:
            seen = f" [shows {turn['blip_caption']}]" if turn.get("blip_caption") else ""
            documents.append(Document(turn["dia_id"], "", f"{turn['speaker']}: {turn['text']}{seen}", when))
    known = {document.id for document in documents}
    questions = []
    for index, item in enumerate(sample["qa"]):
        gold = frozenset(d for e in item.get("evidence", []) for d in re.findall(r"D\d+:\d+", str(e)))
        kind = _CATEGORIES.get(item.get("category"), str(item.get("category", "")))
        answer = str(item.get("answer", item.get("adversarial_answer", "")))
        if gold and gold <= known:
            questions.append(Question(f"{number}-{index}", item["question"], answer, gold, kind))
    return Corpus(str(sample.get("sample_id", number)), tuple(documents), tuple(questions))


FORMATS: dict[str, Callable[[Path], list[Corpus]]] = {
    "hotpotqa": _hotpotqa,
    "2wiki": _2wiki,
    "musique": _musique,
    "locomo": _locomo,
}
"""Readers by name of the format."""
