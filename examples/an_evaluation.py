"""An evaluation: does the memory reach who answers? Two arms on the same worlds, one with another world's memory."""

from pathlib import Path

from eval.harness import Evaluation
from eval.suites import parse
from eval.summary import finish

Path("runs").mkdir(exist_ok=True)
swapped = Path("runs/expert_swapped.yaml")
swapped.write_text("about: the expert with another world's memory\nmemories: swapped\nof: expert\n")

config = parse(["suite=hei_nw", "n=10", f"arms=[expert,{swapped}]", "model=script", "probes=false", "name=swapped"])
evaluation = Evaluation(config)
summary = finish(evaluation, evaluation.run(lambda done, total: print(f"{done} of {total} episodes")))

for name, arm in summary["arms"].items():
    for task, figures in arm["tasks"].items():
        low, high = figures["ci95"]
        print(f"{name}, {task}: {figures['success']:.2f} right ({low:.2f} to {high:.2f}, n {figures['n']})")
for check in summary["checks"]:
    print("ok " if check["ok"] else "NO ", check["name"], check["found"])
