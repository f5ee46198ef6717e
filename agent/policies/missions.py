"""Missions in words, as goals: the language of BabyAI (Chevalier-Boisvert et al. 2019, arXiv:1810.08272)."""

import re
from dataclasses import dataclass
from typing import Literal

Verb = Literal["go to", "pick up", "open", "put next to"]

_CLAUSE = re.compile(
    r"(?P<verb>go to|pick up|open|put) (?:the|a|an) (?P<thing>[\w ]+?)(?: next to (?:the|a|an) (?P<other>[\w ]+))?$"
)


@dataclass(frozen=True, slots=True)
class Goal:
    """One thing to do.

    Attributes:
        verb: What to do.
        thing: The thing to do it with, for example ``"red ball"``.
        other: The thing to put it next to; empty for the other verbs.
    """

    verb: Verb
    thing: str
    other: str = ""


def goals_of(mission: str) -> list[Goal]:
    """Return the goals of a mission in the order in which to do them; none if it is not in BabyAI's words."""
    parts = [mission.strip().rstrip(".")]
    ordered: list[str] = []
    for part in parts:
        first, then, last = part.partition(", then ")
        if then:
            ordered += [first, last]
            continue
        last, after, first = part.partition(" after you ")
        ordered += [first, last] if after else [part]
    clauses = [clause for part in ordered for clause in part.split(" and ")]
    goals = [_goal(clause.strip()) for clause in clauses]
    return [goal for goal in goals if goal] if all(goals) else []


def _goal(clause: str) -> Goal | None:
    match = _CLAUSE.match(clause)
    if match is None or (match["verb"] == "put") != bool(match["other"]):
        return None
    verb: Verb = "put next to" if match["verb"] == "put" else match["verb"]  # type: ignore[assignment]
    thing = match["thing"].removesuffix(" object").strip()
    return Goal(verb, "" if thing == "object" else thing, (match["other"] or "").strip())
