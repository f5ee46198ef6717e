#!/bin/sh
# The adapter that ships, from nothing: experts play worlds of the train split, their episodes are cloned.
#   GPUS=2 sh training/recipes/hippo-135m.sh
# Three trainings: on all worlds (53 million tokens), then twice on from it at a lower rate with new ones (11 and 20
# million): ten minutes on two H100, and twenty of two cores to collect. Its card says of which commits the worlds were
# that it met: the one that ships met names in lower case until its third training.
# With PREPARE=1 only the data sets are made; carried to a GPU host, each is trained on there by a line of train below with
# data.prepared=FOLDER instead of data.runs.
set -e
RUNS=${RUNS:-runs/hippo-135m} WORKERS=${WORKERS:-$(nproc)} GPUS=${GPUS:-1} PYTHON=${PYTHON:-python}
NAME=${NAME:-hippo-135m}
LIBRARY=$RUNS-library LEVEL=BabyAI-PutNextLocal-v0
mkdir -p "$RUNS"
collect() { # folder, first seed, environment, episodes
    $PYTHON -m agent collect env="$3" seed="$2" episodes="$4" name="$3" window=true workers="$WORKERS" \
        runs="$RUNS/$1" > "$RUNS/collect.log" # what fails ends the recipe
    tail -n 1 "$RUNS/collect.log"
}
train() {
    $PYTHON -m torch.distributed.run --nproc_per_node "$GPUS" -m training.commands.train lora=all_linear lora.dropout=0 \
        data.workers="$WORKERS" train.batch=32 train.fused_kernels=true train.tokens_per_step=65536 \
        ${PREPARE:+prepare_only=true} "$@"
}
collect first 0 multi_hop_qa 16800
collect first 0 episodic_qa 9000
collect first 0 courier 8400
collect first 0 babyai_mixed 2400
collect first 0 water_maze 500
if [ ! -f "$RUNS/macros-done" ]; then # macros: mined from a script's episodes, tested, then logged in use
    rm -rf "$LIBRARY" "$RUNS/macros" "$RUNS-scripted"
    $PYTHON -m agent run model=script env=$LEVEL episodes=40 runs="$RUNS-scripted" memory.tools='[plan_route,explore]' -q
    $PYTHON -m agent distill macros "$LIBRARY" "$RUNS-scripted" --env $LEVEL --episodes 1000 --out "$RUNS/macros"
    touch "$RUNS/macros-done"
fi
train name=$NAME-first "data.runs=[$RUNS/first,$RUNS/macros]" +data.weights.EpisodicQA=2 train.learning_rate=1.5e-3 "$@"
collect then 420000 multi_hop_qa 5600
collect then 420000 episodic_qa 1800
collect then 420000 courier 1400
collect then 420000 babyai_mixed 400
collect then 420000 water_maze 100
train name=$NAME-then adapter=$NAME-first "data.runs=[$RUNS/then]" train.learning_rate=5e-4 "$@"
collect last 700000 multi_hop_qa 8400
collect last 700000 episodic_qa 2800
collect last 700000 courier 2800
collect last 700000 babyai_mixed 1000
collect last 700000 water_maze 200
train name=$NAME adapter=$NAME-then "data.runs=[$RUNS/last,$RUNS/macros]" train.learning_rate=5e-4 "$@"
