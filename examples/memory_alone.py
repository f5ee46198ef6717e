"""A memory without an agent: write, recall, read text into facts, forget a source and take that back."""

from memory import Memory, Provenance

with Memory.open("runs/notes") as memory:
    memory.episodic.write(
        "Ada hid the silver lamp in the attic",
        {"who": "Ada", "what": "silver lamp", "where": "attic"},
        origin=Provenance("diary", doc_id="monday"),
    )
    hit = memory.episodic.recall("where did she conceal the lantern", k=1)[0]
    print(f"{hit.score:.2f}", hit.trace.key)

    memory.read("Grace lives in Lisbon. Her brother is Bo.", title="Grace", origin="letter")
    memory.read("Bo works at the harbour.", title="Bo", origin="letter")
    for item in memory.relational.retrieve("Where does the brother of Grace work?", k=3).facts:
        print(item.fact, "| said in:", item.sources[0].text_span)

    print("forgotten:", memory.forget(source="diary").removed)
    print("back again:", memory.undo().returned)
