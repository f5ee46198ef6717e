"""Refusal to be imported where a file of another project hides the package ``memory``, on which the tools stand."""

import memory

if not hasattr(memory, "Memory"):
    raise ImportError(
        f"{memory.__file__} is in the way of the package 'memory' of hippo-llm-memory: rename it, or run from another "
        "folder"
    )
