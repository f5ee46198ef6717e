"""Names of tools that code depends on: policies, measurements, macros. A test compares them with the tools."""

from memory.procedural.program import RUN_MACRO as RUN_MACRO

ANSWER = "answer"
ASK_GRAPH = "ask_graph"
EXPLORE = "explore"
FIND = "find"
PLAN_ROUTE = "plan_route"
RECALL = "recall"
REMEMBER = "remember"
SUGGEST_MACRO = "suggest_macro"
TELL = "tell"
WHERE_IS = "where_is"

LOOKUPS = frozenset({RECALL, ASK_GRAPH, FIND, PLAN_ROUTE, WHERE_IS})
"""Tools that read a memory."""
