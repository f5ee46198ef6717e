"""The command line: ``hippo``."""
