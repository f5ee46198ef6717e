"""What the examples share: a memory with something in it, a question, and a tool to answer with."""

import os

from memory import HashingEmbedder, Memory
from tools import tool

URL = os.environ.get("BASE_URL", "http://127.0.0.1:8000/v1")
MODEL = os.environ.get("MODEL", "hippo")
SYSTEM = "You act in a world, one tool call a turn. You forget everything but what your memory tools keep."
QUESTION = "Mission: answer: Where did Ida hide the green lamp?"
answers: list[str] = []


@tool
def answer(text: str) -> str:
    """Give your answer and end the turn."""
    answers.append(text)
    return "thank you"


def filled() -> Memory:
    """Return a memory in which the answer stands."""
    memory = Memory.open(None, HashingEmbedder())
    memory.episodic.write("Ida hid the green lamp in the cellar on Monday.", {"who": "Ida"})
    memory.episodic.write("Tom left the red kite in the attic on Sunday.", {"who": "Tom"})
    return memory
