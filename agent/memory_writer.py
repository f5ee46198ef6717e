"""Writing of observations into the memories: the map, the facts and the traces."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.logs.events import Wrote
from memory import Memory, Provenance
from memory.episodic import WriteGate
from memory.relational import Tuple
from memory.spatial import Sighting, View, place_name
from memory.spatial.localize import BELIEVED
from memory.spatial.view import Pose
from tools.memory_tools import SEEN_AT

GOAL = "goal"
KNOWN = "You know this place."
STRANGE = "You do not know this place after all."


@dataclass(frozen=True, slots=True)
class Pending:
    """An observation on which the write gate has not decided yet, because the model's surprise is not known."""

    text: str
    reward: float
    step: int


class MemoryWriter:
    """The writer of one episode's observations into a memory.

    The place graph takes in every observation at once; the knowledge graph learns which things were
    seen where. The write gate decides with :meth:`write_pending`, once the surprise is known, whether an
    observation becomes a trace. What tools return never comes here.

    Args:
        memory: The memory.
        gate: The write gate.
        source: Provenance of what is written, for example ``env:hippo/WaterMaze-v0``.
        episode: Name of the episode; it is the document in the provenance.
        mapped: Whether observations are put on the map; those of a conversation are no places.

    Attributes:
        note: What the memory adds to the last observation; usually empty.
        pending: The last observation, until the gate has decided on it.
    """

    def __init__(self, memory: Memory, gate: WriteGate, source: str, episode: str, mapped: bool = True) -> None:
        self.memory = memory
        self.gate = gate
        self.source = source
        self.episode = episode
        self.mapped = mapped
        self.note = ""
        self.pending: Pending | None = None
        self._strange = self._been = False

    def enter(self, world: str) -> None:
        """Begin an episode in ``world``, and retire the facts about places that went stale."""
        if not self.mapped:
            return
        with self.memory.transaction():
            self._strange = self._been = bool(self.memory.spatial.maps(world))
            for place in self.memory.spatial.enter(world):
                self.memory.relational.retire_place(place_name(place), Provenance(self.source, self.episode))

    def perceive(
        self, text: str, view: Mapping[str, Any] | None, action: str | None, reward: float, step: int
    ) -> list[Wrote]:
        """Put an observation on the map, and the things seen into the graph, in one transaction."""
        if not self.mapped:
            self.pending = Pending(text, reward, step)
            return []
        spatial = self.memory.spatial
        origin = Provenance(self.source, self.episode, text)
        before = spatial.place
        with self.memory.transaction():
            sighting = spatial.observe(text, View.parse(view) if view else None, action, origin=origin)
            if reward > 0:
                spatial.mark(GOAL, origin)
            elif sighting.place != before:
                spatial.missed(GOAL, origin)
            facts = self._facts(sighting, origin)
            if sighting.renamed:
                self.memory.episodic.move({place_name(a): place_name(b) for a, b in sighting.renamed.items()})
        self.note = self._recognised(sighting)
        self.pending = Pending(text, reward, step)
        events = []
        if sighting.place != before or sighting.relocalized or reward > 0:
            note = "recognised the map; " if sighting.relocalized else "lost; a new map; " if sighting.lost else ""
            where = f" at ({sighting.pose.x}, {sighting.pose.y})" if sighting.pose else ""
            label = f", marked {GOAL}" if reward > 0 else ""
            events.append(self._wrote("spatial", [sighting.place], f"{note}place {sighting.place}{where}{label}", step))
        if facts:
            ids, words = facts
            events.append(self._wrote("relational", ids, words, step))
        return events

    def _recognised(self, sighting: Sighting) -> str:
        """Return a note if the map of an earlier visit was recognised, or turns out to be of another world.

        Without a change the note is empty.
        """
        if sighting.pose is None:  # places are texts, each of which identifies itself
            return ""
        strange = self._been and sighting.confidence < BELIEVED
        changed, self._strange = strange != self._strange, strange
        return "" if not changed else STRANGE if strange else KNOWN

    def _facts(self, sighting: Sighting, origin: Provenance) -> tuple[list[int], str] | None:
        graph = self.memory.relational
        for thing, place in sighting.vanished:
            graph.retire(thing, SEEN_AT, place_name(place), origin)
        tuples = [Tuple(thing, SEEN_AT, place_name(place), provenance=origin) for thing, place in sighting.appeared]
        if not tuples:
            return None
        ids = graph.upsert(tuples)
        return ids, "; ".join(f"{t.head} seen at {t.tail}" for t in tuples)

    @property
    def pose(self) -> Pose | None:
        """Where the agent stands on its map; ``None`` if it does not know, or there are no cells."""
        return self.memory.spatial.pose if self.mapped else None

    @property
    def pending_text(self) -> str:
        """The observation that the gate will be asked about; empty if there is none."""
        return self.pending.text if self.pending else ""

    def write_pending(self, surprise: float | None) -> Wrote | None:
        """Ask the gate about the pending observation, and write it as a trace if the gate opens.

        Args:
            surprise: Surprise of the observation, in [0, 1]; ``None`` if the model did not read it.
        """
        pending, self.pending = self.pending, None
        if pending is None or not pending.text.strip():
            return None
        text, reward, step = pending.text, pending.reward, pending.step
        novelty = self.memory.episodic.novelty(text)
        score = self.gate.score(surprise=surprise or 0.0, novelty=novelty, reward=reward)
        if not self.gate.opens(score):
            return None
        place = self.memory.spatial.place
        tags = tuple(
            name
            for name, value in (("surprise", surprise or 0.0), ("novelty", novelty), ("reward", abs(reward)))
            if value > self.gate.tau
        )
        trace_id = self.memory.episodic.write(
            text,
            {
                "who": "agent",
                "where": place_name(place) if place is not None else "",
                "when": f"{self.episode} step {step}",
            },
            origin=Provenance(self.source, self.episode, text),
            span_ref=f"{self.episode}/step{step}",
            tags=tags,
            salience=score,
        )
        return Wrote(
            turn=0,
            step=step,
            store="episodic",
            ids=[trace_id],
            text=text,
            score=score,
            surprise=surprise,
            novelty=novelty,
            reward=reward,
        )

    def _wrote(self, store: str, ids: list[int], text: str, step: int) -> Wrote:
        return Wrote.model_validate({"turn": 0, "step": step, "store": store, "ids": ids, "text": text})
