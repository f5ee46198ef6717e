#!/bin/sh
# The adapter that ships, from nothing: experts play worlds of the train split, their episodes are cloned.
#   GPUS=4 sh training/recipes/hippo-135m.sh            # or GPUS=1, which takes four times as long to train
set -e
RUNS=${RUNS:-runs/hippo-135m} WORKERS=${WORKERS:-$(nproc)} GPUS=${GPUS:-1} PYTHON=${PYTHON:-python}
SHARE=$(((WORKERS + 4) / 5))
collect() {
    $PYTHON -m agent collect env="$1" episodes="$2" name="$1" window=true workers="$SHARE" runs="$RUNS" >"$RUNS/$1.log" 2>&1 &
}
mkdir -p "$RUNS"
collect courier "${COURIER:-7000}"
collect water_maze "${MAZE:-2000}"
collect babyai_mixed "${MIXED:-5000}"
collect multi_hop_qa "${HOPS:-10500}"
collect episodic_qa "${EVENTS:-9000}"
wait
for env in courier water_maze babyai_mixed multi_hop_qa episodic_qa; do tail -n 1 "$RUNS/$env.log"; done
$PYTHON -m torch.distributed.run --nproc_per_node "$GPUS" -m training.train_cli name=hippo-135m lora=all_linear \
    "data.runs=[$RUNS]" data.workers="$WORKERS" "$@"
