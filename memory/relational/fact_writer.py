"""Writing of facts: a new statement may end, resume or strengthen known facts."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from memory import provenance
from memory.errors import InvalidItemError
from memory.provenance import Provenance
from memory.relational.aliases import Aliases
from memory.relational.endings import Ending
from memory.relational.extract import Extraction
from memory.relational.facts import FactTable
from memory.relational.graph_cache import GraphCache
from memory.relational.language.tense import PLAN_END
from memory.relational.names import normalise, relation_name, spelling
from memory.relational.namesakes import Namesakes
from memory.relational.schema import SchemaIndex
from memory.relational.tuples import Tuple
from memory.relational.validity import SUPERSEDE_MIN, Validity
from memory.store import Store

NEWS = 180 * 86400.0
"""Seconds before a known fact within which an event that is told later is taken for news, not for history."""


class FactWriter:
    """Writer of statements as rows of ``facts``; it keeps the graph in main memory up to date.

    Args:
        store: The database.
        cache: The graph of the facts that hold now.
        aliases: Groups of names that stand for one entity.
        schemas: Index that scores how well a statement fits.
        functional: Relations with one tail per head at a time.
    """

    def __init__(
        self, store: Store, cache: GraphCache, aliases: Aliases, schemas: SchemaIndex, functional: Collection[str]
    ) -> None:
        self.store = store
        self.cache = cache
        self.aliases = aliases
        self.schemas = schemas
        self.functional = functional
        self.facts = FactTable(store)
        self.validity = Validity(store, aliases, functional)
        self.namesakes = Namesakes(store, aliases, functional)

    def upsert(self, tuples: Iterable[Tuple | Ending]) -> list[int]:
        """Write tuples as facts and carry out endings, all or none; return the id of each tuple's row, in order.

        Raises:
            InvalidItemError: An empty head, relation or tail, or a confidence outside [0, 1].
        """
        told = list(tuples.statements if isinstance(tuples, Extraction) else tuples)
        if wrong := [item for item in told if not isinstance(item, Tuple | Ending)]:
            raise InvalidItemError(f"upsert takes a list of Tuple(head, relation, tail), got {wrong[0]!r}")
        for item in told:
            if isinstance(item, Tuple):
                item.names()
        ids = []
        with self.store.write():
            self.cache.sync()
            told = self.namesakes.told_apart(told, read=isinstance(tuples, Extraction))
            names = [item.names() if isinstance(item, Tuple) else ("", "", "") for item in told]
            fits = self._fits(names)
            for item, (head, relation, tail), fit in zip(told, names, fits, strict=True):
                if isinstance(item, Ending):
                    self.end(item)
                    continue
                self._respell(head, item.origin)
                self._respell(tail, item.origin)
                ids.append(self._tell(item, head, relation, tail, fit))
        return ids

    def _tell(self, item: Tuple, head: str, relation: str, tail: str, fit: float) -> int:
        if item.planned or item.until is not None:
            return self._tell_interval(item, head, relation, tail, fit)
        db = self.store.db
        conf = min(item.conf, item.origin.conf)
        since = item.origin.time if item.since is None else item.since
        functional = self.validity.one_at_a_time(relation, item.tail)
        fact_id = self.validity.same(head, relation, tail, since, conf * item.origin.trust)
        if fact_id is not None:
            if functional and conf >= SUPERSEDE_MIN and since < self.facts.get_many([fact_id])[0].valid_from:
                self._superseded(self._overtake(head, relation, tail, since, item.beside), fact_id, since)
            if self.validity.strengthen(fact_id, since, conf, fit):
                self.cache.strengthen(fact_id, head, tail, fit)
        else:
            older: list[int] = []
            until: tuple[float, int] | None = None
            now = item.since is not None and functional and self._holds_now(item, head, relation, tail)
            if now and conf >= SUPERSEDE_MIN:
                older = self._overtake(head, relation, tail, item.origin.time, item.beside)
            elif functional:
                until = self.validity.next(head, relation, tail, since, conf * item.origin.trust)
                if conf >= SUPERSEDE_MIN:
                    until = until or self._resume(head, relation, tail, since)
                    if until is None or until[0] > since:
                        older = self._overtake(head, relation, tail, since, item.beside)
            fact_id = self._insert((head, relation, tail), item.context, conf, (since, *(until or (None, None))), fit)
            self._superseded(older, fact_id, since)
            if until is None:
                self.cache.add(fact_id, head, relation, tail, 1, fit)
        if conf >= SUPERSEDE_MIN:
            opposed = self.validity.opposed(head, relation, tail, since)
            for fact in self.facts.get_many(opposed):
                self.cache.drop(fact.id, fact.head, fact.tail)
            self._superseded(opposed, fact_id, since)
        contribution = {"since": since} | ({"context": item.context} if item.context else {})
        provenance.add(db, ("facts", fact_id), replace(item.origin, conf=conf), contribution)
        return fact_id

    def _holds_now(self, item: Tuple, head: str, relation: str, tail: str) -> bool:
        """Return whether a statement with a beginning of its own ends what is known for later than that.

        It does if it says that it still holds; an event ("moved in 2012") only if it is not long before what is known.
        """
        others = [v for v in self.validity.versions(head, relation) if v.end is None and v.tail != tail]
        if not item.event or not others:
            return True
        return item.since is None or item.since >= max(version.start for version in others) - NEWS

    def _tell_interval(self, item: Tuple, head: str, relation: str, tail: str, fit: float) -> int:
        """Write a fact of the past or a plan; it ends no other fact."""
        conf, told = min(item.conf, item.origin.conf), item.origin.time
        until = PLAN_END if item.until is None else item.until
        since = min(told, until) if item.since is None else item.since
        row = self.store.db.execute(
            "SELECT id FROM facts WHERE head = ? AND relation = ? AND tail = ? AND valid_from = ? AND valid_to = ?",
            (head, relation, tail, since, until),
        ).fetchone()
        if row is None:
            fact_id = self._insert((head, relation, tail), item.context, conf, (since, until, None), fit)
        else:
            fact_id = int(row[0])
            self.store.db.execute("UPDATE facts SET strength = strength + 1 WHERE id = ?", (fact_id,))
        contribution = {"since": since, "until": until} | ({"context": item.context} if item.context else {})
        provenance.add(self.store.db, ("facts", fact_id), replace(item.origin, conf=conf), contribution)
        return fact_id

    def _insert(
        self,
        names: tuple[str, str, str],
        context: str | Provenance,
        conf: float,
        interval: tuple[float, float | None, int | None],
        fit: float,
    ) -> int:
        cursor = self.store.db.execute(
            "INSERT INTO facts(head, relation, tail, context, conf, valid_from, valid_to, superseded_by, fit)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*names, context, conf, *interval, fit),
        )
        return int(cursor.lastrowid or 0)

    def _resume(self, head: str, relation: str, tail: str, since: float) -> tuple[float, int] | None:
        for held in self.validity.holding(head, relation, tail, since):
            if (until := self.validity.resume(held, since)) is not None:
                self.cache.reread([held, until[1]])
                return until
        return None

    def _overtake(self, head: str, relation: str, tail: str, since: float, beside: Collection[str]) -> list[int]:
        """Remove the facts that a statement ends from the graph in main memory; return the ids of their rows."""
        if "*" in beside:
            return []
        versions = [one for one in self.validity.overtaken(head, relation, tail, since) if one.tail not in beside]
        for fact in self.facts.get_many([version.id for version in versions if version.end is None]):
            self.cache.drop(fact.id, fact.head, fact.tail)
        return [version.id for version in versions]

    def _superseded(self, older: Iterable[int], by: int, since: float) -> None:
        self.store.db.executemany(
            "UPDATE facts SET superseded_by = ?, valid_to = max(valid_from, ?) WHERE id = ?",
            [(by, since, fact) for fact in older],
        )

    def retire_place(self, tail: str, origin: Provenance) -> int:
        """End every current fact with the tail ``tail``, which does not exist any more; return how many were ended."""
        rows = self.store.db.execute(
            "SELECT head, relation FROM facts WHERE tail = ? AND valid_to IS NULL", (normalise(tail),)
        ).fetchall()
        return sum(self.retire(head, relation, tail, origin) for head, relation in rows)

    def retire(self, head: str, relation: str, tail: str, origin: Provenance) -> bool:
        """End the validity of a fact that was observed not to hold; return whether there was such a fact.

        Args:
            head: Head of the fact.
            relation: Relation of the fact.
            tail: Tail of the fact.
            origin: Who observed it, and when. If this origin is forgotten, the fact holds again.
        """
        with self.store.write() as db:
            self.cache.sync()
            ended = self._end(normalise(head), relation_name(relation), normalise(tail), origin.time)
            for fact_id in ended:
                provenance.add(db, ("facts", fact_id), origin, role="ended")
            return bool(ended)

    def end(self, ending: Ending) -> list[int]:
        """End the current facts that a statement denies; return their ids. Facts told later than it stay."""
        told = ending.origin.time
        facts = self.validity.denied_by(ending, told)
        for fact in facts:
            time = told if ending.time is None else min(told, ending.time)
            self.store.db.execute("UPDATE facts SET valid_to = ? WHERE id = ?", (max(fact.valid_from, time), fact.id))
            self.cache.drop(fact.id, fact.head, fact.tail)
            provenance.add(self.store.db, ("facts", fact.id), ending.origin, role="ended")
        return [fact.id for fact in facts]

    def _end(self, head: str, relation: str, tail: str, time: float) -> list[int]:
        heads, tails = self.aliases.names(head), self.aliases.names(tail)
        rows = self.store.db.execute(
            f"SELECT id, head, tail FROM facts WHERE head IN ({', '.join('?' * len(heads))}) AND relation = ?"
            f" AND tail IN ({', '.join('?' * len(tails))}) AND valid_to IS NULL AND valid_from <= ?",
            (*heads, relation, *tails, time),
        ).fetchall()
        for fact_id, name, old in rows:
            self.store.db.execute("UPDATE facts SET valid_to = ? WHERE id = ?", (time, fact_id))
            self.cache.drop(fact_id, name, old)
        return [fact_id for fact_id, _, _ in rows]

    def _respell(self, name: str, origin: Provenance) -> None:
        """Make a new name an alias of a known name that differs only in accents, punctuation or a possessive."""
        if name in self.cache.graph:
            return
        key = spelling(name)
        if not key:
            return
        known = self.cache.spellings.setdefault(key, name)
        was, entity = self.aliases.entity(name), self.aliases.entity(known)
        if known != name and was != entity:
            self.aliases.add(name, known, origin, "spelling")
            if was == name and self.aliases.entity(known) == entity:
                self.cache.unmoved()
            else:
                self.cache.sync(anew=True)

    def _fits(self, names: Sequence[Sequence[str]]) -> list[float]:
        return self.schemas.fits([tuple(n) for n in names]) if self.schemas.routing.enabled else [1.0] * len(names)  # type: ignore[misc]
