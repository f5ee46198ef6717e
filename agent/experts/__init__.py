"""Policies that do an environment's missions through the agent's own tools, as a well-trained model would."""

from agent.experts.base import expert_for

__all__ = ["expert_for"]
