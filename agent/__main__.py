"""``python -m agent`` is ``hippo``."""

from agent.cli import main

main()
