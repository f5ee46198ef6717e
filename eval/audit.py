"""Checks of an evaluation that guard against wrong conclusions; each says what it examined and what it found."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from agent.statistics import wilson_ci
from eval.measures import Record, by_arm, chance

Arms = Mapping[str, Mapping[str, Any]]
MARGIN = 0.05
"""If the lower end of an interval is above the rate of guessing by more than this, the arm knows something."""
SAME = 0.9
"""Least share of episodes that must be the same, call for call, when each begins with its own restored memory."""


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check.

    Attributes:
        name: Name of the check.
        ok: Whether the check passed; ``None`` if it could not be made.
        found: What was found, in words.
    """

    name: str
    ok: bool | None
    found: str

    def row(self) -> dict[str, Any]:
        """Return the check as one JSON object."""
        return asdict(self)


def audit(config: Mapping[str, Any], records: Sequence[Record]) -> list[Check]:
    """Make every check that can be made, and return the results.

    Args:
        config: Settings of the evaluation.
        records: Every episode that counts.
    """
    arms: Arms = config["arms"]
    checks = [*_broken(records), *_worlds(arms, records), *_metric(records), *_leaks(records)]
    checks += [*_reached(arms, records), *_restored(arms, records), *_blind(arms, config["suite"]["guess"], records)]
    return checks


def _broken(records: Sequence[Record]) -> Iterator[Check]:
    """Check that no episode ended in an error of the model or of the world, which says nothing about a memory."""
    for (arm, task), by_seed in by_arm(records).items():
        ended = [record for record in by_seed.values() if record["ending"] in ("model_error", "env_error")]
        if ended:
            first = ended[0].get("reason") or ended[0]["ending"]
            words = f"{len(ended)} of {len(by_seed)} episodes ended in an error, not in a result: {first}"
            yield Check(f"{arm} could play: {task}", False, words)


def _worlds(arms: Arms, records: Sequence[Record]) -> Iterator[Check]:
    """Check that all arms played the same seeds, and met the same worlds under them."""
    played = by_arm(records)
    for task in dict.fromkeys(record["task"] for record in records):
        own_arms = [name for name in arms if arms[name]["memories"] == "own"]
        seeds = {name: {*played.get((name, task), {})} for name in own_arms}
        all_seeds = set[int]().union(*seeds.values())
        short = {name: len(all_seeds - episodes) for name, episodes in seeds.items() if all_seeds - episodes}
        later = {name: {*played.get((name, task), {})} for name in arms if name not in own_arms}
        later_seeds = set[int]().union(*later.values())
        short |= {name: len(later_seeds - episodes) for name, episodes in later.items() if later_seeds - episodes}
        words = ", ".join(f"{name} lacks {count}" for name, count in short.items())
        yield Check(f"same seeds: {task}", not short, words or f"{len(all_seeds)} episodes, {len(own_arms)} arms")
        marks: dict[int, set[str]] = {}
        for (_, where), episodes in played.items():
            for seed, record in episodes.items() if where == task else ():
                marks.setdefault(seed, set()).add(record["world_mark"])
        differing = sorted(seed for seed, seen in marks.items() if len(seen) > 1)
        words = (
            f"arms met different worlds under {len(differing)} seeds, the first {differing[0]}"
            if differing
            else "as told"
        )
        yield Check(f"same worlds: {task}", not differing, words)


def _metric(records: Sequence[Record]) -> Iterator[Check]:
    """Check that success agrees with exact match, recomputed from the answers."""
    answered = [record for record in records if record["em"] is not None]
    if not answered:
        return
    wrong = [record for record in answered if bool(record["em"]) != bool(record["success"])]
    words = f"{len(wrong)} of {len(answered)} answers are judged otherwise than by exact match"
    if wrong:
        words += f", for example {wrong[0]['answer']!r} for {' or '.join(wrong[0]['right'])!r} ({wrong[0]['log']})"
    yield Check("answers are judged rightly", not wrong, words)


def _leaks(records: Sequence[Record]) -> Iterator[Check]:
    """Check that no right answer is shown before something is looked up."""
    answered = [record for record in records if record["em"] is not None]
    for task in dict.fromkeys(record["task"] for record in answered):
        shown = [record for record in answered if record["task"] == task and record["leaked"]]
        words = f", for example {shown[0]['right'][0]!r} in {shown[0]['mission']!r}" if shown else ""
        total = sum(record["task"] == task for record in answered)
        yield Check(f"no answer leaks: {task}", not shown, f"{len(shown)} of {total} answers were shown before{words}")


def _reached(arms: Arms, records: Sequence[Record]) -> Iterator[Check]:
    """Check that the calls of an arm change with its memory.

    If no arm has a changed memory, check that the first arm looks something up.
    """
    played = by_arm(records)
    for (name, task), by_seed in played.items():
        arm = arms[name]
        if arm["policy"] in ("random", "retrieval") or not arm["memory"] or arm["memories"] != "own":
            continue
        others = [o for o in arms if arms[o]["of"] == name and arms[o]["memories"] not in ("own", "restored")]
        others = [other for other in others if (other, task) in played]
        for other in others:
            other_by_seed = played[other, task]
            common_seeds = [seed for seed in by_seed if seed in other_by_seed]
            used = [seed for seed in common_seeds if by_seed[seed]["lookups"]]
            changed = sum(by_seed[seed]["calls_mark"] != other_by_seed[seed]["calls_mark"] for seed in used)
            words = (
                f"with {other}, {changed} of the {len(used)} episodes in which {name} looks something up go otherwise"
            )
            yield Check(f"memory reaches {name}: {task}", 2 * changed > len(used) > 0, words)
        if not others and name == next(iter(arms)):
            looked = sum(record["lookups"] > 0 for record in by_seed.values())
            words = f"{looked} of {len(by_seed)} episodes look something up and find it; no arm has another memory"
            yield Check(f"memory is used by {name}: {task}", looked > 0, words)


def _restored(arms: Arms, records: Sequence[Record]) -> Iterator[Check]:
    """Check that an episode which begins with its own restored memory is the same as before."""
    played = by_arm(records)
    for (name, task), restored in played.items():
        if arms[name]["memories"] != "restored":
            continue
        own = played.get((arms[name]["of"], task), {})
        both = [seed for seed in restored if seed in own]
        same = sum(own[seed]["calls_mark"] == restored[seed]["calls_mark"] for seed in both)
        agree = sum(bool(own[seed]["success"]) == bool(restored[seed]["success"]) for seed in both)
        yield Check(
            f"a memory put back is the same: {task}",
            bool(both) and min(same, agree) >= SAME * len(both),
            f"{same} of {len(both)} episodes are the same call for call, {agree} in success",
        )


def _blind(arms: Arms, guess: Mapping[str, float], records: Sequence[Record]) -> Iterator[Check]:
    """Check that an arm without a memory, or with the memory of another world, is no better than guessing."""
    played = by_arm(records)
    for (name, task), by_seed in played.items():
        arm = arms[name]
        blind = not arm["memory"] and "agent.history=true" not in arm["set"]
        if arm["policy"] != "model" or not (blind or arm["memories"] in ("swapped", "empty")):
            continue
        known = [record for record in by_seed.values() if record["kind"] in guess and guess[record["kind"]] < 1.0]
        if not known:
            share = sum(bool(record["success"]) for record in by_seed.values()) / len(by_seed)
            words = f"{share:.3f} solved; the suite does not say what guessing gives (suite.guess)"
            yield Check(f"{name} knows nothing: {task}", None, words)
            continue
        solved = sum(bool(record["success"]) for record in known)
        by_guess = sum(guess[record["kind"]] for record in known) / len(known)
        low, high = wilson_ci(solved, len(known))
        words = (
            f"{solved / len(known):.3f} solved ({low:.3f} to {high:.3f}, n {len(known)}), {by_guess:.3f} by guessing"
        )
        if len(known) < len(by_seed) and (level := chance([*by_seed.values()], guess)) is not None:
            words += f"; with those that anybody solves, {level:.3f} by guessing"
        yield Check(f"{name} knows nothing: {task}", low <= by_guess + MARGIN, words)
