"""Any sequence of operations on a memory does what it does to a dictionary, also across reopening."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule

from memory import HashingEmbedder, Memory, Provenance

WORDS = st.sampled_from(["red ball", "blue key", "green door", "Ada sings", "Bo sleeps", "it rains", "a loud bang"])
SOURCES = st.sampled_from(["ada", "bo", "mallory"])


class AgainstADictionary(RuleBasedStateMachine):
    """Traces as ``key -> {source: how often}``; snapshots as copies of that."""

    snapshots: Bundle[tuple[str, dict[str, dict[str, int]]]] = Bundle("snapshots")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="hippo-test-"))
        self.memory = self.open()
        self.model: dict[str, dict[str, int]] = {}
        self.ids: dict[str, int] = {}
        self.forgotten: dict[str, dict[str, int]] | None = None

    def open(self) -> Memory:
        return Memory.open(self.folder / "m", HashingEmbedder(32))

    def teardown(self) -> None:
        self.memory.close()
        shutil.rmtree(self.folder)

    @rule(key=WORDS, source=SOURCES)
    def write(self, key: str, source: str) -> None:
        self.ids[key] = self.memory.episodic.write(key, origin=Provenance(source, time=1.0))
        said = self.model.setdefault(key, {})
        said[source] = said.get(source, 0) + 1
        self.forgotten = None

    @rule(key=WORDS)
    def delete(self, key: str) -> None:
        if key in self.model:
            self.memory.episodic.delete(self.ids.pop(key))
            del self.model[key]
            self.forgotten = None

    @rule(key=WORDS, source=SOURCES)
    def fail_in_the_middle(self, key: str, source: str) -> None:
        try:
            with self.memory.transaction():
                self.memory.episodic.write(key, origin=Provenance(source, time=1.0))
                self.memory.episodic.recall(key, 2)
                raise ZeroDivisionError
        except ZeroDivisionError:
            pass

    @rule(source=SOURCES)
    def forget(self, source: str) -> None:
        if any(source in said for said in self.model.values()):
            self.forgotten = {key: dict(said) for key, said in self.model.items()}
            self.memory.forget(source=source)
            for key in list(self.model):
                self.model[key].pop(source, None)
                if not self.model[key]:
                    del self.model[key]

    @precondition(lambda self: self.forgotten is not None)
    @rule()
    def undo(self) -> None:
        assert self.forgotten is not None
        self.memory.undo()
        self.model, self.forgotten = self.forgotten, None

    @rule(target=snapshots)
    def snapshot(self) -> tuple[str, dict[str, dict[str, int]]]:
        return self.memory.snapshot().name, {key: dict(said) for key, said in self.model.items()}

    @rule(saved=snapshots)
    def restore(self, saved: tuple[str, dict[str, dict[str, int]]]) -> None:
        self.memory.restore(saved[0])
        self.model = {key: dict(said) for key, said in saved[1].items()}
        self.forgotten = None

    @rule()
    def reopen(self) -> None:
        self.memory.close()
        self.memory = self.open()

    @rule()
    def reopen_after_a_crash(self) -> None:
        self.memory.store.close()
        self.memory = self.open()

    @invariant()
    def agrees(self) -> None:
        hits = self.memory.episodic.recall("red Ada rains key", 20)
        found = {hit.trace.key: hit.trace for hit in hits}
        assert set(found) == set(self.model)
        for key, trace in found.items():
            assert trace.strength == sum(self.model[key].values())
            assert {p.source for p in trace.provenance} == set(self.model[key])
        self.ids = {key: trace.id for key, trace in found.items()}
        assert self.memory.episodic.index.ids().tolist() == sorted(self.ids.values())

    @invariant()
    def whole(self) -> None:
        assert self.memory.verify().problems == []


AgainstADictionary.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
TestAgainstADictionary = AgainstADictionary.TestCase
