"""Your own loop: the agent chooses, you step the world. Memory tools are called on the way."""

from agent import Agent, ScriptedModel
from memory import HashingEmbedder, Memory
from tools import ToolCall

ACTIONS = {"east": ("E", "go east"), "west": ("W", "go west")}
SCRIPT = [
    ToolCall(name="remember", arguments={"text": "the door is in the east"}),
    ToolCall(name="east"),
    ToolCall(name="recall", arguments={"cue": "where is the door"}),
    ToolCall(name="east"),
]  # Agent("hippo-135m", memory) lets the 135 M model decide; it was trained in grids and on questions, not here

with Memory.open(None, HashingEmbedder()) as memory:
    agent = Agent(ScriptedModel(SCRIPT), memory)
    agent.reset("leave the house", ACTIONS, seed=0, world="house")
    place, reward = 0, 0.0
    while place < 2:
        action = agent.act(f"You are {2 - place} rooms from the door.", reward)
        place += 1 if action == "E" else -1
        print("went", action)
    agent.close("You are outside.", reward=1.0, solved=True)
    print(memory.stats())
