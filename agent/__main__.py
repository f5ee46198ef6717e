"""``python -m agent`` is ``hippo``."""

from agent.commands.main import main

main()
