"""Everyday sentences: are the facts that hold now those that a careful reader would name?

::

    python -m eval.bench.everyday --half heldout --json
    python -m eval.bench.everyday --half plain_heldout --engine lm --json

The cases are in tests/memory/data/everyday_*.jsonl, written by hand: endings, tenses, dates, states, preferences and
the first person. Each tells one to three texts and says which facts hold at the end (``holds``), which pairs must not
(``ended``), and which others may (``may``). The rules were written with the ``dev`` half only. The baseline tells the
same tuples without validity by time, kind or ending: as they are in the list that the extractor returns.
"""

import argparse
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from eval.bench.report import tell
from eval.statistics import wilson_ci
from memory import HashingEmbedder, Memory, Provenance
from memory.relational import Extractor, Fact, RuleExtractor
from memory.relational.facts import realised
from memory.relational.language.tense import PLAN_END
from memory.relational.names import FUNCTIONAL

DATA = Path(__file__).parents[2] / "tests" / "memory" / "data"
SETS = ["dev", "heldout", "messages_dev", "messages_heldout", "plain_dev", "plain_heldout"]
"""Everyday sentences, messages as people write them, and plain sentences; of each one half was read while rules were
written."""

OPPOSED = re.compile(
    r"^(sells|leaves|quits|cancels|gives|loses|divorces|stops|resigns|drops|returns|donates|breaks|splits)"
)
"""Relations of events that end another fact; they are no claim that their object is still had."""


def cases(half: str) -> list[dict[str, Any]]:
    """Return the cases of one set: ``dev``, ``heldout``, or another file of that form in the folder."""
    path = DATA / f"everyday_{half}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def play(case: Mapping[str, Any], extractor: Extractor) -> tuple[list[Fact], list[Fact], list[Fact]]:
    """Tell one case to an empty graph.

    Returns:
        The facts that hold at the case's "now", what is planned for later, and all facts that were ever told.
    """
    with Memory.open(None, HashingEmbedder(32)) as memory:
        kg = memory.relational
        for number, item in enumerate(case["tell"]):
            origin = Provenance("user", f"{case['id']}", time=item["time"], speaker=item.get("speaker", ""))
            kg.upsert(
                extractor.extract(item["text"], replace(origin, doc_id="" if "speaker" not in item else str(number)))
            )
        rows = memory.store.db.execute("SELECT id FROM facts ORDER BY id").fetchall()
        every = kg.get_many([row[0] for row in rows])
    now = Provenance("user", time=case["now"]).time
    planned = [fact for fact in every if fact.valid_to == PLAN_END]
    due = [fact for fact in planned if fact.valid_from <= now]
    current = realised([*due, *(fact for fact in every if fact.valid_to is None)], FUNCTIONAL)
    return current, [fact for fact in planned if fact not in due], every


def is_pair(fact: Fact, pair: Mapping[str, str]) -> bool:
    """Return whether a fact is about a pair of names, in either direction, in a relation that the pair allows."""
    head, tail = _plain(fact.head), _plain(fact.tail)
    ends = {head, tail.removeprefix(f"{head}'s ")}  # "Ada's test" of Ada is her test
    same = any(ends == {_plain(pair["head"]), _plain(tail)} for tail in pair["tail"].split("|"))
    return same and ("relation" not in pair or re.search(pair["relation"], fact.relation) is not None)


def _plain(name: str) -> str:
    words = re.sub(r"^(in|on|at|to) ", "", name.lower().replace("’", "'"))
    return re.sub(r"^(the|a|an|his|her|my|their|our|its) ", "", re.sub(r" \(.*\)$", "", words)).strip(" .")


def judge(case: Mapping[str, Any], extractor: Extractor) -> dict[str, Any]:
    """Judge one case: what is missing, what holds wrongly, what was ended wrongly, what else is current."""
    current, planned, every = play(case, extractor)
    missing = [pair for pair in case["holds"] if not any(is_pair(fact, pair) for fact in (*current, *planned))]
    retired = [pair for pair in missing if any(is_pair(fact, pair) for fact in every)]
    wrong = [
        fact
        for fact in current
        if any(is_pair(fact, pair) for pair in case["ended"])
        and not OPPOSED.search(fact.relation)
        and not any(is_pair(fact, pair) for pair in case["holds"])
    ]
    known = [*case["holds"], *case.get("may", [])]
    other = [fact for fact in current if fact not in wrong and not any(is_pair(fact, pair) for pair in known)]
    return {"case": case, "missing": missing, "retired": retired, "wrong": wrong, "other": other, "current": current}


def measure(half: str, show: bool = False, engine: str = "rules") -> dict[str, Any]:
    """Judge all cases of a set, read by the rules, by the language model (``lm``), or by both."""
    extractor: Extractor = RuleExtractor()
    if engine != "rules":
        from agent.extraction import JointExtractor, ModelExtractor

        extractor = ModelExtractor() if engine == "lm" else JointExtractor()
    right: Counter[str] = Counter()
    there: Counter[str] = Counter()
    holds = retired = told = wrong = other = 0
    for case in cases(half):
        verdict = judge(case, extractor)
        there[case["kind"]] += 1
        right[case["kind"]] += not verdict["missing"] and not verdict["wrong"]
        holds += len(case["holds"])
        retired += len(verdict["retired"])
        told += len(verdict["current"])
        wrong += len(verdict["wrong"])
        other += len(verdict["other"])
        if show and (verdict["missing"] or verdict["wrong"] or verdict["other"]):
            _show(verdict)
    n, good = sum(there.values()), sum(right.values())
    return {
        "half": half,
        "n": n,
        "current_right": good / n,
        "current_right_ci95": wilson_ci(good, n),
        "by_kind": {kind: f"{right[kind]} of {there[kind]}" for kind in there},
        "holds": holds,
        "false_retirements": retired / holds,
        "false_retirements_ci95": wilson_ci(retired, holds),
        "facts": told,
        "wrong": wrong,
        "unlisted": other,
        "precision": (told - wrong - other) / told,
        "precision_ci95": wilson_ci(told - wrong - other, told),
    }


def _show(verdict: Mapping[str, Any]) -> None:
    case = verdict["case"]
    print(case["id"], case["kind"], " // ".join(item["text"] for item in case["tell"]))
    for name in ("missing", "wrong", "other"):
        if verdict[name]:
            print("   ", name, [str(item) if isinstance(item, Fact) else item for item in verdict[name]])
    print("    current", [f"{f.head}|{f.relation}|{f.tail}" for f in verdict["current"]])


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half", choices=SETS, default="heldout")
    parser.add_argument("--engine", choices=["rules", "lm", "both"], default="rules")
    parser.add_argument("--show", action="store_true", help="print the cases that are not right")
    parser.add_argument("--json", action="store_true", help="one JSON object as stdout's last line")
    options = parser.parse_args(arguments)
    tell(measure(options.half, options.show, options.engine), options.json)


if __name__ == "__main__":
    main()
