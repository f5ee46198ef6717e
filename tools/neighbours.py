"""Refusal to be imported where a file of another project hides the package ``memory``, on which the tools stand."""

import memory

if "Memory" not in getattr(memory, "__all__", ()):
    raise ImportError(
        f"{memory.__file__} is in the way of the package 'memory' of hippo-llm-memory: rename it, or run from another "
        "folder"
    )
