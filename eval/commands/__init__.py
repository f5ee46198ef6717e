"""Commands of the evaluation: ``hippo eval``."""
