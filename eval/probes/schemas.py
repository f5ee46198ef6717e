"""Schema routing: how often must a fact be told until it is found, and how much noise is found with it?

A graph knows people, towns, games and dishes: who visits, plays and likes what. For each new person there is one true
statement and one that was read wrongly (a tail of the wrong kind, or head and tail swapped) about the same person and
relation. The statements are told repeatedly, in random order, until the true one is ranked first twice in a row.

- ``at once``: everything is believed at once (the default).
- ``extended``: everything must be told three times.
- ``routed``: what fits the schemas learnt from the known facts is believed at once, the rest must be told three times.
- ``declared``: as ``routed``, with frames declared by hand (which kind of thing is visited, played or liked).
"""

import random
from typing import Any

import numpy as np

from eval.statistics import bootstrap_ci, wilson_ci
from memory import Memory, MiniLMEmbedder, Provenance
from memory.relational import Routing, Tuple

PEOPLE = (
    "Anna Bruno Clara David Elena Felix Greta Henry Irene Jonas Karla Louis Maria Nils Olivia Peter Rosa Simon"
    " Tessa Ulrich Vera Walter Xenia Yusuf Zora Agnes Boris Celia Dario Edith Franz Gloria Hugo Ida Jakob Klara Leon"
    " Mona Noah Otto"
).split()
TAILS = {
    "visits": "Rome Oslo Lisbon Vienna Prague Dublin Athens Berlin Madrid Warsaw Geneva Helsinki".split(),
    "plays": "chess football tennis cards golf hockey dominoes basketball rugby checkers volleyball cricket".split(),
    "likes": "pasta soup rice bread cheese salad noodles stew pancakes dumplings curry pizza".split(),
}
KINDS = {"visits": "town", "plays": "game", "likes": "dish"}


def known(rng: random.Random) -> list[tuple[str, str, str]]:
    """What the graph knows: the first half of the people and of the tails, thrice told."""
    people = PEOPLE[:20]
    return [(p, r, t) for p in people for r, tails in TAILS.items() for t in rng.sample(tails[:6], 2)]


def newcomers(rng: random.Random) -> list[tuple[tuple[str, str, str], tuple[str, str, str]]]:
    """A true statement and a wrong one for each new person; tails are new too."""
    pairs = []
    for person in PEOPLE[20:]:
        relation = rng.choice(list(TAILS))
        true = (person, relation, rng.choice(TAILS[relation][6:]))
        other = rng.choice([r for r in TAILS if r != relation])
        wrong = rng.choice([(person, relation, rng.choice(TAILS[other])), (true[2], relation, person)])
        pairs.append((true, wrong))
    return pairs


def play(seed: int, arm: str, embedder: MiniLMEmbedder, most: int = 6) -> tuple[list[int], list[bool]]:
    """Tellings until each true fact is found, and whether the wrong one was first after one telling of both."""
    rng = random.Random(seed)
    facts, pairs = known(rng), newcomers(rng)
    exposures: list[int] = []
    noise: list[bool] = []
    with Memory.open(None, embedder) as memory:
        kg = memory.relational
        origin = Provenance("bench", time=1.0)
        kg.upsert([Tuple(*fact, origin) for fact in facts * 3])
        if arm == "declared":
            kg.schemas.declare("person", KINDS)
            kinds = [(t, "is_a", KINDS[r]) for r, tails in TAILS.items() for t in tails]
            kg.upsert([Tuple(*fact, origin) for fact in kinds + [(p, "is_a", "person") for p in PEOPLE]])
        kg.routing = {
            "at once": Routing(),
            "extended": Routing(enabled=True, fit_min=1.0, exposures=3),
            "routed": Routing(enabled=True),
            "declared": Routing(enabled=True),
        }[arm]
        if arm == "extended":
            kg.schemas.fits = lambda statements: [0.0] * len(statements)  # type: ignore[method-assign]
        for true, wrong in pairs:
            run = 0
            for time in range(1, most + 1):
                order = [true, wrong] if rng.random() < 0.5 else [wrong, true]
                for number, fact in enumerate(order):
                    if fact == true or time == 1:  # an error of reading is not made twice
                        kg.upsert([Tuple(*fact, Provenance("bench", f"{time}-{number}", time=2.0))])
                top = kg.ask(true[0], 1)[0]
                first = (top.head, top.tail) == (true[0].lower(), true[2].lower())
                first = first and kg.routing.consolidated(*_weight(kg, top.id))
                if time == 1:
                    noise.append((top.head, top.tail) == (wrong[0].lower(), wrong[2].lower()))
                run = run + 1 if first else 0
                if run == 1:
                    first_found = time
                if run == 2:
                    break
            exposures.append(first_found if run else most + 1)
    return exposures, noise


def _weight(kg: Any, fact: int) -> tuple[float, int]:
    row = kg.store.db.execute("SELECT fit, strength + rehearsals FROM facts WHERE id = ?", (fact,)).fetchone()
    return float(row[0]), int(row[1])


def measure(seeds: int) -> dict[str, Any]:
    """Every arm on the same streams; returns the figures."""
    embedder = MiniLMEmbedder()
    arms = {}
    for arm in ("at once", "extended", "routed", "declared"):
        exposures: list[int] = []
        noise: list[bool] = []
        for seed in range(seeds):
            tellings, wrong = play(seed, arm, embedder)
            exposures += tellings
            noise += wrong
        arms[arm] = {
            "n": len(exposures),
            "exposures": float(np.mean(exposures)),
            "exposures_ci95": bootstrap_ci(exposures),
            "wrong_first": sum(noise) / len(noise),
            "wrong_first_ci95": wilson_ci(sum(noise), len(noise)),
        }
    return {"seeds": seeds, "arms": arms}
