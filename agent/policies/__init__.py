"""Policies that do an environment's missions through the agent's own tools, as a well-trained model would.

Two know more than a model would: `DocumentReader` is told the right answers (it shows what recall brings up), and
`GridExpert` falls back on BabyAI's bot, which sees the whole world, for missions that it can't read.
"""

from agent.policies.experts import expert_for
from agent.policies.script import RandomCaller, RouteFollower, Script

__all__ = ["RandomCaller", "RouteFollower", "Script", "expert_for"]
