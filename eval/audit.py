"""Checks that catch us when we fool ourselves: each says what it looked at, and what it found."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from agent.statistics import wilson_ci
from eval.measures import Record, by_arm

Arms = Mapping[str, Mapping[str, Any]]
MARGIN = 0.05
"""How far above guessing an interval may begin before it counts as knowing."""
SAME = 0.9
"""Share of episodes that must be the same, call for call, when each begins with its own memory again."""


@dataclass(frozen=True, slots=True)
class Check:
    """What one check found.

    Attributes:
        name: Of the check.
        ok: Whether all is as it should be.
        found: What was found, in words.
    """

    name: str
    ok: bool
    found: str

    def row(self) -> dict[str, Any]:
        """The check in one object."""
        return asdict(self)


def audit(config: Mapping[str, Any], records: Sequence[Record]) -> list[Check]:
    """Every check that can be made.

    Args:
        config: What the evaluation was asked to do.
        records: Every episode that counts.
    """
    arms: Arms = config["arms"]
    found = [*_worlds(arms, records), *_metric(records), *_leaks(records)]
    found += [*_reached(arms, records), *_restored(arms, records), *_blind(arms, config["suite"]["guess"], records)]
    return found


def _worlds(arms: Arms, records: Sequence[Record]) -> Iterator[Check]:
    """Every arm has the same seeds, and saw the same worlds there."""
    played = by_arm(records)
    for task in dict.fromkeys(one["task"] for one in records):
        whole = [name for name in arms if arms[name]["memories"] == "own"]
        seeds = {name: {*played.get((name, task), {})} for name in whole}
        every = set[int]().union(*seeds.values())
        short = {name: len(every - mine) for name, mine in seeds.items() if every - mine}
        later = {name: {*played.get((name, task), {})} for name in arms if name not in whole}
        begun = set[int]().union(*later.values())
        short |= {name: len(begun - mine) for name, mine in later.items() if begun - mine}
        said = ", ".join(f"{name} lacks {count}" for name, count in short.items())
        yield Check(f"same seeds: {task}", not short, said or f"{len(every)} episodes, {len(whole)} arms")
        marks: dict[int, set[str]] = {}
        for (_, where), mine in played.items():
            for seed, one in mine.items() if where == task else ():
                marks.setdefault(seed, set()).add(one["world_mark"])
        other = sorted(seed for seed, seen in marks.items() if len(seen) > 1)
        said = f"arms met different worlds under {len(other)} seeds, the first {other[0]}" if other else "as told"
        yield Check(f"same worlds: {task}", not other, said)


def _metric(records: Sequence[Record]) -> Iterator[Check]:
    """Success is exact match, recomputed from what was answered; and wrong answers are there to be counted."""
    asked = [one for one in records if one["em"] is not None]
    if not asked:
        return
    off = [one for one in asked if bool(one["em"]) != bool(one["success"])]
    said = f"{len(off)} of {len(asked)} answers are judged otherwise than by exact match"
    if off:
        said += f", for example {off[0]['answer']!r} for {' or '.join(off[0]['right'])!r} ({off[0]['log']})"
    yield Check("answers are judged rightly", not off, said)


def _leaks(records: Sequence[Record]) -> Iterator[Check]:
    """No right answer is shown before anything was looked up."""
    asked = [one for one in records if one["em"] is not None]
    for task in dict.fromkeys(one["task"] for one in asked):
        shown = [one for one in asked if one["task"] == task and one["leaked"]]
        words = f", for example {shown[0]['right'][0]!r} in {shown[0]['mission']!r}" if shown else ""
        total = sum(one["task"] == task for one in asked)
        yield Check(f"no answer leaks: {task}", not shown, f"{len(shown)} of {total} answers were shown before{words}")


def _reached(arms: Arms, records: Sequence[Record]) -> Iterator[Check]:
    """An arm's calls change when its memory holds something else; without one, the first must look things up."""
    played = by_arm(records)
    for (name, task), mine in played.items():
        arm = arms[name]
        if arm["policy"] in ("random", "retrieval") or not arm["memory"] or arm["memories"] != "own":
            continue
        others = [o for o in arms if arms[o]["of"] == name and arms[o]["memories"] not in ("own", "restored")]
        others = [other for other in others if (other, task) in played]
        for other in others:
            theirs = played[other, task]
            both = [seed for seed in mine if seed in theirs]
            used = [seed for seed in both if mine[seed]["lookups"]]
            changed = sum(mine[seed]["calls_mark"] != theirs[seed]["calls_mark"] for seed in used)
            said = (
                f"with {other}, {changed} of the {len(used)} episodes in which {name} looks something up go otherwise"
            )
            yield Check(f"memory reaches {name}: {task}", 2 * changed > len(used) > 0, said)
        if not others and name == next(iter(arms)):
            looked = sum(one["lookups"] > 0 for one in mine.values())
            said = f"{looked} of {len(mine)} episodes look something up and find it; no arm has another memory"
            yield Check(f"memory is used by {name}: {task}", looked > 0, said)


def _restored(arms: Arms, records: Sequence[Record]) -> Iterator[Check]:
    """Beginning with one's own memory again changes nothing."""
    played = by_arm(records)
    for (name, task), theirs in played.items():
        if arms[name]["memories"] != "restored":
            continue
        mine = played.get((arms[name]["of"], task), {})
        both = [seed for seed in theirs if seed in mine]
        same = sum(mine[seed]["calls_mark"] == theirs[seed]["calls_mark"] for seed in both)
        agree = sum(bool(mine[seed]["success"]) == bool(theirs[seed]["success"]) for seed in both)
        yield Check(
            f"a memory put back is the same: {task}", bool(both) and min(same, agree) >= SAME * len(both),
            f"{same} of {len(both)} episodes are the same call for call, {agree} in success",
        )  # fmt: skip


def _blind(arms: Arms, guess: Mapping[str, float], records: Sequence[Record]) -> Iterator[Check]:
    """Who has no memory, or another world's, does no better than by guessing."""
    played = by_arm(records)
    for (name, task), mine in played.items():
        arm = arms[name]
        blind = not arm["memory"] and "agent.history=true" not in arm["set"]
        if arm["policy"] != "model" or not (blind or arm["memories"] in ("swapped", "empty")):
            continue
        known = [one for one in mine.values() if one["kind"] in guess and guess[one["kind"]] < 1.0]
        if not known:
            share = sum(bool(one["success"]) for one in mine.values()) / len(mine)
            said = f"{share:.3f} solved; not judged, for the suite does not say what guessing gives (its key guess)"
            yield Check(f"{name} knows nothing: {task}", True, said)
            continue
        solved = sum(bool(one["success"]) for one in known)
        by_guess = sum(guess[one["kind"]] for one in known) / len(known)
        low, high = wilson_ci(solved, len(known))
        said = f"{solved / len(known):.3f} ({low:.3f} to {high:.3f}, n {len(known)}), {by_guess:.3f} by guessing"
        yield Check(f"{name} knows nothing: {task}", low <= by_guess + MARGIN, said)
