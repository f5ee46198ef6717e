#!/bin/sh
# The adapter that ships, from nothing: experts play worlds of the train split, their episodes are cloned.
#   GPUS=2 sh training/recipes/hippo-135m.sh
# Seven minutes of two cores to collect, two of reading, and 35 million tokens: some six minutes on an H100.
# With PREPARE=1 only the data set is made, to be carried to a GPU host: data.prepared=FOLDER trains there.
set -e
RUNS=${RUNS:-runs/hippo-135m} WORKERS=${WORKERS:-$(nproc)} GPUS=${GPUS:-1} PYTHON=${PYTHON:-python}
LIBRARY=$RUNS-library LEVEL=BabyAI-PutNextLocal-v0
mkdir -p "$RUNS"
collect() {
    $PYTHON -m agent collect env="$1" episodes="$2" name="$1" window=true workers="$WORKERS" runs="$RUNS" | tail -n 1
}
collect multi_hop_qa "${HOPS:-9800}"
collect episodic_qa "${EVENTS:-9000}"
collect courier "${COURIER:-3500}"
collect babyai_mixed "${MIXED:-3000}"
collect water_maze "${MAZE:-900}"
if [ ! -d "$LIBRARY" ]; then # macros: mined from a script's episodes, tested, then logged in use
    hippo run model=script env=$LEVEL episodes=40 runs="$RUNS-scripted" memory.tools='[plan_route,explore]' -q
    hippo distill macros "$LIBRARY" "$RUNS-scripted" --env $LEVEL --episodes "${MACROS:-800}" --out "$RUNS"
fi
exec $PYTHON -m torch.distributed.run --nproc_per_node "$GPUS" -m training.train_cli name=hippo-135m lora=all_linear \
    lora.dropout=0 "data.runs=[$RUNS]" data.workers="$WORKERS" +data.weights.EpisodicQA=2 train.batch=32 \
    train.tokens_per_step=65536 train.learning_rate=1.5e-3 ${PREPARE:+prepare_only=true} "$@"
