"""Aliases: several names of one entity, told or found by spelling and embeddings; each can be undone."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np

from memory import provenance
from memory.embedding import Embedder
from memory.errors import InvalidItemError, UnknownItemError
from memory.provenance import Provenance
from memory.relational.names import fold, normalise, spelling
from memory.relational.tuples import MAX_NAME
from memory.store import Store

_FILLERS = frozenset(
    "of the and city town mr mrs ms dr sir prof professor saint st inc ltd llc corp co company republic".split()
)
_TOKEN_MIN = 0.84


@dataclass(frozen=True, slots=True)
class Alias:
    """One row of ``aliases``: ``alias`` is another name of ``entity``.

    Attributes:
        id: Row in ``aliases``.
        alias: The other name, normalised.
        entity: The name that it stands for.
        method: ``told``, ``spelling`` or ``likeness``.
        score: Confidence in [0, 1].
    """

    id: int
    alias: str
    entity: str
    method: str
    score: float


class Aliases:
    """Groups of names that stand for one entity each.

    Rows of facts keep the names that were told, so removing an alias undoes its effect.

    Args:
        store: The database.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.version = 0
        self._stamp: tuple[int, int] | None = None
        self._of: dict[str, str] = {}
        self._names: dict[str, set[str]] = {}
        self._pointed: dict[str, int] = {}

    def entity(self, name: str) -> str:
        """Return the name of the entity that ``name``, normalised, belongs to."""
        self._sync()
        return self._of.get(name, name)

    def names(self, name: str) -> list[str]:
        """Return all names of the entity that ``name`` belongs to, itself included, in alphabetical order."""
        entity = self.entity(name)
        return sorted({entity, *self._names.get(entity, ())})

    def all(self) -> list[Alias]:
        """Return every alias, oldest first."""
        rows = self.store.db.execute("SELECT id, alias, entity, method, score FROM aliases ORDER BY id")
        return [Alias(*row) for row in rows.fetchall()]

    def add(self, alias: str, entity: str, origin: Provenance, method: str = "told", score: float = 1.0) -> int:
        """Record that two names stand for one entity, and return the row of the alias.

        Raises:
            InvalidItemError: An empty name, or the same name twice.
        """
        alias, entity = normalise(alias), normalise(entity)
        if not alias or not entity or alias == entity:
            raise InvalidItemError(f"an alias needs two different names, got {alias!r} and {entity!r}")
        if max(len(alias), len(entity)) > MAX_NAME:
            raise InvalidItemError(f"names have at most {MAX_NAME} characters, got {max(len(alias), len(entity))}")
        with self.store.write() as db:
            row, strength = db.execute(
                "INSERT INTO aliases(alias, entity, method, score) VALUES (?, ?, ?, ?)"
                " ON CONFLICT(alias, entity) DO UPDATE SET strength = strength + 1 RETURNING id, strength",
                (alias, entity, method, score),
            ).fetchone()
            provenance.add(db, ("aliases", row), origin, fresh=strength == 1)
            if strength == 1:
                self._join(alias, entity)
                self.version += 1
        return int(row)

    def remove(self, alias_id: int) -> Alias:
        """Remove an alias and return it.

        Raises:
            UnknownItemError: There is no such row.
        """
        with self.store.write() as db:
            if abs(alias_id) >= 2**63:
                raise UnknownItemError(f"no alias has id {alias_id}")
            row = db.execute(
                "DELETE FROM aliases WHERE id = ? RETURNING id, alias, entity, method, score", (alias_id,)
            ).fetchone()
            if row is None:
                raise UnknownItemError(f"no alias has id {alias_id}; `hippo kg aliases` or `aliases.all()` lists them")
            provenance.release(db, "aliases", alias_id)
            self._read()
        return Alias(*row)

    def _sync(self) -> None:
        with self.store.lock:
            stamp = self.store.stamp
            if stamp != self._stamp:
                self._read()
                self._stamp = stamp

    def _read(self) -> None:
        """Read the groups of names joined by aliases; the name that most aliases point to stands for a group."""
        before = self._of
        self._of, self._names, self._pointed = {}, {}, {}
        for alias, entity in self.store.db.execute("SELECT alias, entity FROM aliases ORDER BY id").fetchall():
            self._join(alias, entity)
        self.version += before != self._of

    def _join(self, alias: str, entity: str) -> None:
        group: set[str] = set()
        for name in {self._of.get(alias, alias), self._of.get(entity, entity)}:
            group |= self._names.pop(name, {name})
        self._pointed[entity] = self._pointed.get(entity, 0) + 1
        named = max(sorted(group), key=lambda name: self._pointed.get(name, 0))
        self._names[named] = group
        self._of.update(dict.fromkeys(group, named))


def spelled_alike(one: str, other: str) -> bool:
    """Return whether two names may be one entity's by spelling: an acronym, a typing error, or only extra fillers.

    Numbers, signs and what stands in parentheses must be the same: ``place 12`` is not ``place 13``, nor ``C`` ``C++``.
    Accents must be the same too, unless they are missing from the whole of one name of several words.
    """
    if re.findall(r"\d+|[+#$!&]|\([^()]*\)", one) != re.findall(r"\d+|[+#$!&]|\([^()]*\)", other):
        return False
    accents = not (one.isascii() and other.isascii())
    if (
        accents
        and spelling(one) != spelling(other)
        and not ((one.isascii() or other.isascii()) and min(len(one.split()), len(other.split())) > 1)
    ):
        return False
    first, second = fold(one).split(), fold(other).split()
    if not first or not second:
        return False
    if accents:
        return first == second
    for short, long in ((first, second), (second, first)):
        letters = re.sub(r"[^a-z]", "", "".join(short))
        initials = [word[0] for word in long if word not in _FILLERS]
        if len(long) > 1 and 2 <= len(letters) == len(initials) and letters == "".join(initials):
            return True
    own, theirs = ([word for word in words if word not in _FILLERS] or words for words in (first, second))
    if len(own) != len(theirs):
        return False
    return all(max(_like(word, other) for other in theirs) >= _TOKEN_MIN for word in own) and all(
        max(_like(word, other) for other in own) >= _TOKEN_MIN for word in theirs
    )


def _like(word: str, other: str) -> float:
    if word == other:
        return 1.0
    if min(len(word), len(other)) < 5 or word[0] != other[0]:
        return 0.0
    matcher = SequenceMatcher(None, word, other, autojunk=False)
    return matcher.ratio() if matcher.real_quick_ratio() >= _TOKEN_MIN else 0.0


def candidates(names: Iterable[str], embedder: Embedder, least: float) -> list[tuple[str, str, float]]:
    """Find pairs of names that may be one entity's: spelled alike, and with a cosine of at least ``least``.

    Returns:
        ``(shorter name, longer name, cosine)``, highest cosine first.
    """
    blocks: dict[str, list[str]] = {}
    for name in names:
        words = [word for word in fold(name).split() if word not in _FILLERS] or fold(name).split()
        if not words:
            continue
        for key in {word[0] + str(len(words)) for word in words} | {f"={''.join(word[0] for word in words)}"}:
            blocks.setdefault(key, []).append(name)
        if len(words) == 1 and len(words[0]) < 7:
            blocks.setdefault(f"={words[0]}", []).append(name)
    pairs = {
        (min(short, long, key=lambda n: (len(n), n)), max(short, long, key=lambda n: (len(n), n)))
        for block in blocks.values()
        for i, short in enumerate(block[:_BLOCK])
        for long in block[i + 1 : _BLOCK]
        if short != long and spelled_alike(short, long)
    }
    if not pairs:
        return []
    ordered = sorted(pairs)
    left, right = (embedder.embed([pair[side] for pair in ordered]) for side in (0, 1))
    cosines = np.einsum("ij,ij->i", left, right)
    scored = [(*pair, float(cosine)) for pair, cosine in zip(ordered, cosines, strict=True)]
    alike = [
        (short, long, cosine) for short, long, cosine in scored if cosine >= least or spelling(short) == spelling(long)
    ]
    return sorted(alike, key=lambda pair: -pair[2])


_BLOCK = 300
