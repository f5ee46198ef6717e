"""Commands of the evaluation package: ``hippo eval``."""
