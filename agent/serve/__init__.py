"""Serving to other people's agents: the memories over MCP."""
