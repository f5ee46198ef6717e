"""Any history of tellings, merges and retirements leaves one state of things."""

from hypothesis import given, settings
from hypothesis import strategies as st

from memory import HashingEmbedder, Memory, Provenance
from memory.relational import Tuple

names = st.sampled_from(["bob", "robert", "ada", "Bób"])
towns = st.sampled_from(["paris", "rome", "oslo"])
days = st.integers(1, 8)
sources = st.sampled_from("ABC")
steps = st.one_of(
    st.tuples(st.just("tell"), names, towns, days, sources, st.integers(0, 3)),
    st.tuples(st.just("merge"), names, names, days, sources, st.just(0)),
    st.tuples(st.just("retire"), names, towns, days, sources, st.just(0)),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(steps, min_size=2, max_size=9))
def test_any_history_leaves_one_state_of_things(history: list[tuple[str, str, str, int, str, int]]) -> None:
    with Memory.open(None, HashingEmbedder()) as memory:
        kg = memory.relational
        for what, one, other, day, source, doc in history:
            origin = Provenance(source, str(doc), time=float(day))
            if what == "tell":
                kg.upsert([Tuple(one, "lives_in", other, origin)])
            elif what == "merge" and one != other:
                kg.merge(one, other, origin)
            elif what == "retire":
                kg.retire(one, "lives_in", other, origin)
            rows = memory.store.db.execute("SELECT id FROM facts WHERE valid_to IS NULL").fetchall()
            assert sorted(key for *_, key in kg.graph.edges(keys=True)) == sorted(row[0] for row in rows)
        db = memory.store.db
        assert db.execute("SELECT * FROM facts WHERE valid_to < valid_from").fetchall() == []
        if not any(step[0] == "merge" for step in history):
            assert [c for c in kg.contradictions() if c.reason == "both hold"] == []
            assert memory.verify().problems == []
        told = {step[4] for step in history if step[0] == "tell"}
        if "B" in told:
            before = db.execute("SELECT head, tail FROM facts WHERE valid_to IS NULL ORDER BY 1, 2").fetchall()
            memory.forget(source="B")
            said = "SELECT count(*) FROM provenance WHERE source = 'B'"
            assert db.execute(said).fetchone()[0] == 0
            memory.undo()
            after = db.execute("SELECT head, tail FROM facts WHERE valid_to IS NULL ORDER BY 1, 2").fetchall()
            assert after == before
