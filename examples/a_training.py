"""A training: collect episodes of the expert, and train an adapter on them. Two steps, to see that it works."""

from agent.config import load_collect
from agent.rollout.collect import Collection
from envs import make, seeds_of
from training.config import load_train
from training.qlora import train

config = load_collect(["env=multi_hop_qa", "window=true", "episodes=14", "name=hops", "workers=1"])
collection = Collection(config, seeds_of(config.split), make)
collection.run()
print(collection.result()["success"], "of the episodes were solved")

done = train(
    load_train(
        [
            "name=first",
            f"data.runs=[{collection.folder}]",
            "model.seq_len=256",
            "model.max_call_tokens=48",
            "dry_run=true",  # leave these three away for a real training, on a GPU
        ]
    )
)
print(done.folder, done.steps, "steps")  # hippo run model.adapter=runs/adapters/first
