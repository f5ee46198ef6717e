"""Stress test: forgetting a poisoned source and everything that was derived from it."""

from pathlib import Path

from eval.bench.torture.harness import dump, opened
from memory import Memory, Provenance
from memory.episodic import Event
from memory.relational import Tuple


def poison(path: Path | None, count: int, bad: int) -> dict[str, int]:
    """``bad`` of ``count`` traces come from one source, with facts, places and macros made of them.

    After forgetting that source none of it is anywhere and everything else answers as before; after
    undoing everything is as it was, row for row.
    """
    every = count // bad
    spies = set(range(0, count, every))
    with opened(path) as memory:
        traces = memory.episodic.write_many([_event(i, i in spies) for i in range(count)])
        with memory.transaction():
            for i, trace in enumerate(traces):
                if i % every < 3:
                    _derive(memory, i, trace)
        cues = [f"event {i} of the day" for i in range(1, count, max(7, count // 300)) if i not in spies]
        towns = {f"town {i}" for i in spies}
        people = range(count // 10)
        facts = {p: memory.relational.ask(f"person {p}", 9) for p in people}
        before = dump(memory)
        answers = [memory.episodic.recall(cue, 1)[0].trace for cue in cues]
        done = memory.forget(source="mallory")
        assert {t: done.removed[t] for t in ("traces", "facts", "places", "macros")} == dict.fromkeys(
            ("traces", "facts", "places", "macros"), len(spies)
        )
        left = dump(memory)
        assert "mallory" not in str(left)
        assert not {traces[i] for i in spies} & {row[0] for row in left["traces"]}
        assert [memory.episodic.recall(cue, 1)[0].trace for cue in cues] == answers
        for person, known in facts.items():
            kept = [fact for fact in known if fact.tail not in towns]
            assert [f.id for f in memory.relational.ask(f"person {person}", 9)] == [f.id for f in kept]
        report = memory.verify()
        assert report.ok, report.problems
        if path is not None:
            for file in path.rglob("*"):
                assert not file.is_file() or done.snapshot in file.parts or b"mallory's lie" not in file.read_bytes()
        memory.undo()
        assert dump(memory) == before
        assert [memory.episodic.recall(cue, 1)[0].trace for cue in cues] == answers
    return {"traces": count, "poisoned": len(spies), **{f"removed {t}": n for t, n in done.removed.items()}}


def _event(i: int, bad: bool) -> Event:
    who = "mallory" if bad else "ada"
    words = "mallory's lie" if bad else "a plain truth"
    return Event(f"event {i} of the day", {"who": f"person {i // 10}"}, Provenance(who, "d", words, time=float(i)))


def _derive(memory: Memory, i: int, trace: int) -> None:
    """A fact from a trace; a place and a macro from the fact."""
    origin = Provenance("extractor", time=float(i), derived_from=(("traces", trace),))
    fact = memory.relational.upsert([Tuple(f"person {i // 10}", "knows", f"town {i}", origin)])[0]
    further = Provenance("walker", time=float(i), derived_from=(("facts", fact),))
    memory.spatial.enter(f"town {i}")
    memory.spatial.observe(f"street {i}", origin=further)
    memory.macros.add([("go", {"to": i})], origin=further)
