"""Facts that change: are the answers for today and for earlier days right?

::

    python -m eval.bench.facts --json --plot docs/img/facts.png

Stories are generated. People move, things change owners and places, and jobs end; people also like, know and visit more
and more, which ends no earlier fact. Wordings vary. Some facts are told twice, some late (with their own time). Some
sentences deny or suppose a fact that is not true. One arm gives tuples to the graph, another extracts them from the
sentences with the parse rules. A baseline without validity takes the fact that was told last as true at all times.
"""

import argparse
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.bench.report import tell
from eval.plots import bars
from eval.statistics import wilson_ci
from memory import HashingEmbedder, Memory, Provenance
from memory.relational import RuleExtractor, Tuple

NAMES = (
    "Anna Bruno Clara David Elena Felix Greta Henry Irene Jonas Karla Louis Maria Nils Olivia Peter Rosa Simon Tessa"
).split()
TOWNS = "Rome Oslo Lisbon Vienna Prague Dublin Athens Berlin Madrid Warsaw Geneva Helsinki".split()
ROOMS = "kitchen|cellar|attic|library|garage|old barn|green room|north tower".split("|")
THINGS = "silver lamp|grey key|wooden box|red umbrella|golden ring|old map|blue bottle|iron kettle".split("|")
FIRMS = "bakery|library|post office|museum|harbour|town hall|hospital|printing house".split("|")
FOODS = "tea|chess|jazz|opera|football|cheese|poetry|cider".split("|")

SAID: dict[str, tuple[str, ...]] = {
    "lives_in": ("{h} lives in {t}.", "{h} moved to {t}.", "{h}, who lives in {t}, was there.", "{h} settled in {t}."),
    "located_in": ("The {h} is in the {t}.", "The {h} was in the {t}.", "The {h} is kept in the {t}."),
    "owned_by": ("{t} owns the {h}.", "The {h} belongs to {t}."),
    "works_at": ("{h} works at the {t}.", "{h} works for the {t}."),
    "likes": ("{h} likes {t}.",),
    "knows": ("{h} knows {t}.",),
    "visits": ("{h} visited {t}.",),
}
NOT_SO: tuple[str, ...] = (
    "{h} does not live in {t}.", "{h} may move to {t}.", "{h} wants to live in {t}.", "Does {h} live in {t}?",
    "If it rains, {h} moves to {t}.", "Otto claims that {h} lives in {t}.",
)  # fmt: skip
FUNCTIONAL = ("lives_in", "located_in", "owned_by", "works_at")


@dataclass(frozen=True)
class Told:
    """A sentence, what it states (nothing, if it denies or supposes), since when, and when it is told."""

    sentence: str
    statement: tuple[str, str, str] | None
    since: float
    told: float


def story(seed: int, steps: int = 120) -> list[Told]:
    """One story, in the order of telling."""
    rng = random.Random(seed)
    people, things = rng.sample(NAMES, 6), rng.sample(THINGS, 4)
    current: dict[tuple[str, str], str] = {}
    statements: list[Told] = []
    for day in range(1, steps + 1):
        relation = rng.choice([*FUNCTIONAL, *FUNCTIONAL, "likes", "knows", "visits"])
        head = rng.choice(things if relation in ("located_in", "owned_by") else people)
        tails = {
            "lives_in": TOWNS,
            "located_in": ROOMS,
            "owned_by": people,
            "works_at": FIRMS,
            "likes": FOODS,
            "knows": [p for p in people if p != head],
            "visits": TOWNS,
        }[relation]
        tail = rng.choice([t for t in tails if t != current.get((head, relation))])
        if relation in FUNCTIONAL:
            current[head, relation] = tail
        late = float(rng.randint(1, 12)) if rng.random() < 0.1 else 0.0
        again = [day + 0.0] + ([day + 0.4] if rng.random() < 0.15 and not late else [])
        for moment in again:
            sentence = rng.choice(SAID[relation]).format(h=head, t=tail)
            statements.append(Told(sentence, (head, relation, tail), moment, moment + late + 0.5 * bool(late)))
        if rng.random() < 0.15:
            person, town = rng.choice(people), rng.choice(TOWNS)
            if current.get((person, "lives_in")) != town:
                statements.append(Told(rng.choice(NOT_SO).format(h=person, t=town), None, day + 0.2, day + 0.2))
    return sorted(statements, key=lambda item: item.told)


def truth(told: Sequence[Told]) -> dict[tuple[str, str], list[tuple[float, str]]]:
    """For each head and functional relation the tails by the day from which they held."""
    versions: dict[tuple[str, str], list[tuple[float, str]]] = {}
    for item in sorted(told, key=lambda item: item.since):
        if item.statement and item.statement[1] in FUNCTIONAL:
            head, relation, tail = (part.lower() for part in item.statement)
            versions.setdefault((head, relation), []).append((item.since, tail))
    return versions


def held(versions: Sequence[tuple[float, str]], at: float) -> str | None:
    """What held on a day."""
    return next((tail for since, tail in reversed(versions) if since <= at), None)


def play(told: Sequence[Told], arm: str, extractor: RuleExtractor, rng: random.Random) -> dict[str, list[bool]]:
    """Tell one story and ask; returns right or wrong for each question and fact."""
    known = truth(told)
    last = max(item.since for item in told)
    with Memory.open(None, HashingEmbedder(32)) as memory:
        kg = memory.relational
        for number, item in enumerate(told):
            origin = Provenance("story", f"line {number}", item.sentence, time=item.since)
            if arm == "read":
                kg.upsert(extractor.extract(item.sentence, origin))
            elif item.statement:
                kg.upsert([Tuple(*item.statement, origin)])
        right: dict[str, list[bool]] = {"current": [], "history": [], "kept": []}
        for (head, relation), versions in known.items():
            now = [f.tail for f in kg.history(head, relation) if f.valid_to is None]
            right["current"].append(now == [versions[-1][1]])
            for _ in range(3):
                at = rng.uniform(versions[0][0], last)
                then = [versions[-1][1]] if arm == "last told" else [f.tail for f in kg.at(at, head, relation)]
                right["history"].append(then == [held(versions, at)])
        for item in told:
            if item.statement and item.statement[1] not in FUNCTIONAL:
                head, relation, tail = item.statement
                facts = [f for f in kg.history(head, relation) if f.tail == tail.lower()]
                right["kept"] += [fact.valid_to is None for fact in facts]
        for (head, relation), versions in known.items():
            right["kept"] += [f.valid_to is None for f in kg.history(head, relation) if f.tail == versions[-1][1]][-1:]
    return right


def measure(stories: int) -> dict[str, Any]:
    """Tell all stories to every arm; returns the figures."""
    extractor = RuleExtractor()
    arms: dict[str, Any] = {}
    for arm in ("told", "read", "last told"):
        sums: dict[str, list[bool]] = {"current": [], "history": [], "kept": []}
        for seed in range(stories):
            for name, values in play(story(seed), arm, extractor, random.Random(seed)).items():
                sums[name] += values
        arms[arm] = {
            name: {"n": len(values), "share": sum(values) / len(values), "ci95": wilson_ci(sum(values), len(values))}
            for name, values in sums.items()
        }
        arms[arm]["false_retirements"] = 1 - arms[arm]["kept"]["share"]
    return {"stories": stories, "arms": arms}


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stories", type=int, default=40, help="of 120 days each")
    parser.add_argument("--plot", type=Path, help="PNG to draw")
    parser.add_argument("--json", action="store_true", help="one JSON object as stdout's last line")
    options = parser.parse_args(arguments)
    figures = measure(options.stories)
    if options.plot:
        groups = {
            arm: {name: (results[name]["share"], *results[name]["ci95"]) for name in ("current", "history", "kept")}
            for arm, results in figures["arms"].items()
        }
        bars(options.plot, groups, "Facts that change", "share right")
    tell(figures, options.json)


if __name__ == "__main__":
    main()
