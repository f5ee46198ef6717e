"""Hydra groups: model, memory, env, experiment. ``hippo run key=value`` overrides them."""
