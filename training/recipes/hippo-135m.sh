#!/bin/sh
# The adapter that ships, from nothing: experts play worlds of the train split, their episodes are cloned.
#   GPUS=2 sh training/recipes/hippo-135m.sh
# Two trainings: on all worlds (34 million tokens), then on from it with more of what it did worst in validation worlds
# (28 million): eleven minutes on an H100, and as many of two cores to collect.
# With PREPARE=1 only the data sets are made, to be carried to a GPU host: data.prepared=FOLDER trains there.
set -e
RUNS=${RUNS:-runs/hippo-135m} WORKERS=${WORKERS:-$(nproc)} GPUS=${GPUS:-1} PYTHON=${PYTHON:-python}
NAME=${NAME:-hippo-135m}
LIBRARY=$RUNS-library LEVEL=BabyAI-PutNextLocal-v0
mkdir -p "$RUNS"
collect() { # folder, first seed, environment, episodes
    $PYTHON -m agent collect env="$3" seed="$2" episodes="$4" name="$3" window=true workers="$WORKERS" \
        runs="$RUNS/$1" | tail -n 1
}
train() {
    $PYTHON -m torch.distributed.run --nproc_per_node "$GPUS" -m training.train_cli lora=all_linear lora.dropout=0 \
        data.workers="$WORKERS" train.batch=32 train.fused_kernels=true train.tokens_per_step=65536 \
        ${PREPARE:+prepare_only=true} "$@"
}
collect first 0 multi_hop_qa 9800
collect first 0 episodic_qa 9000
collect first 0 courier 3500
collect first 0 babyai_mixed 3000
collect first 0 water_maze 900
if [ ! -d "$LIBRARY" ]; then # macros: mined from a script's episodes, tested, then logged in use
    hippo run model=script env=$LEVEL episodes=40 runs="$RUNS-scripted" memory.tools='[plan_route,explore]' -q
    hippo distill macros "$LIBRARY" "$RUNS-scripted" --env $LEVEL --episodes 800 --out "$RUNS/macros"
fi
train name=$NAME-first "data.runs=[$RUNS/first,$RUNS/macros]" +data.weights.EpisodicQA=2 train.learning_rate=1.5e-3 "$@"
collect then 210000 courier 5600
collect then 210000 multi_hop_qa 5600
collect then 210000 episodic_qa 6000
collect then 210000 babyai_mixed 1200
collect then 210000 water_maze 200
train name=$NAME adapter=$NAME-first "data.runs=[$RUNS/then,$RUNS/macros]" train.learning_rate=1e-3 "$@"
