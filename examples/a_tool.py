"""A tool of your own: a typed function that an agent can call, and what comes of bad arguments."""

from typing import Literal

from agent import Agent, ScriptedModel
from envs import make
from tools import Toolbox, ToolCall, tool


@tool(timeout=1.0)
def opposite(direction: Literal["north", "east", "south", "west"]) -> str:
    """Name the opposite direction."""
    return {"north": "south", "south": "north", "east": "west", "west": "east"}[direction]


print(opposite.spec().openai())  # the schema, made from the signature
toolbox = Toolbox([opposite])
print(toolbox.dispatch(ToolCall(name="opposite", arguments={"direction": "north"})).text)
print(toolbox.dispatch(ToolCall(name="opposite", arguments={"direction": "up"})).text)

# The same tool in the loop; a script stands in for the model here.
calls = [ToolCall(name="opposite", arguments={"direction": "east"}), ToolCall(name="left")]
agent = Agent(ScriptedModel(calls, cycle=True), plugins=[opposite])
for event in agent.run(make("BabyAI-GoToLocal-v0"), seed=0):
    if event.type == "returned":
        print(event.step, event.name, event.text)
        break
