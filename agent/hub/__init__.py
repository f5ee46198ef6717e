"""Models and adapters: the catalogue, downloads, LoRA weights."""
