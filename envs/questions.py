"""What our question-answering worlds share: first one listens, later one is asked."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils import seeding

from envs.drawing import text_image
from envs.language import Meaning, spoken
from envs.splits import SEEDS, Split
from envs.text_grid import text_space
from envs.visits import Visited

LISTEN = "listen, and keep in mind what you are told"
UNKNOWN = "unknown"
DISPUTED = "disputed"
_ARTICLES = re.compile(r"\b(the|a|an)\b")


@dataclass(frozen=True)
class Asked:
    """A question.

    Attributes:
        kind: Its kind, for statistics.
        text: The question.
        answers: Right answers, each as good as another.
        needs: Memories without which it can't be answered.
    """

    kind: str
    text: str
    answers: tuple[str, ...]
    needs: tuple[str, ...]


@dataclass(frozen=True)
class Session:
    """What is told on each visit of ingestion, and the questions that follow."""

    told: Sequence[Sequence[str]]
    asked: Sequence[Asked]


def plain(text: str) -> str:
    """A text in ASCII: letters without their accents, and what has no such form left out."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def folded(text: str) -> str:
    """An answer as it is compared: no case, accents, articles or punctuation (much as SQuAD's exact match has it)."""
    return " ".join(_ARTICLES.sub(" ", re.sub(r"[^\w\s]", " ", plain(text).lower())).split())


class ListenAndAnswer(Visited, gym.Env[str, str]):
    """Visits on which something is told, then visits with a question each; a seed says which.

    Attributes:
        named_actions: ``next`` hears on while something is told; an answer is any text.
        waiting: What is observed while an answer is waited for.
        extractive: Whether every right answer is made of words in view.
        ingestion: How many of the visits are for ingestion: something is told, and nothing asked.
        expert: Name of the policy that does it through the agent's tools.
        render_mode: ``None``, ``"ansi"`` or ``"rgb_array"``.
    """

    named_actions = {"next": ("", "hear on")}  # noqa: RUF012
    metadata = {"render_modes": ["ansi", "rgb_array"], "render_fps": 1}  # noqa: RUF012
    name = "asking"
    waiting = "Answer in a few words. Say unknown if you were never told."
    extractive = False
    expert = ""

    def __init__(self, ingestion: int, questions: int, render_mode: str | None = None) -> None:
        self.ingestion = ingestion
        self.visits = ingestion + questions
        self.render_mode = render_mode
        self.action_space = text_space()
        self.observation_space = text_space()
        self._text = ""

    def write_session(self, world_seed: int, split: Split, rng: np.random.Generator) -> Session:
        """Make up what is told and asked in one world."""
        raise NotImplementedError

    @property
    def asked(self) -> Asked | None:
        """The question, ``None`` during ingestion."""
        return self.session.asked[self.visit - self.ingestion] if self.visit >= self.ingestion else None

    @property
    def answers(self) -> tuple[str, ...]:
        """Right answers, each as good as another; none during ingestion."""
        return self.asked.answers if self.asked else ()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Begin a visit; the seed says to which world and which visit, without one both are drawn."""
        super().reset(seed=seed, options=options)
        self.seed_played = int(self.np_random.integers(SEEDS)) if seed is None else seed
        self.session = self.write_session(self.world_seed, self.split, seeding.np_random(self.world_seed)[0])
        self._heard = 0
        self._text = self.waiting if self.asked else self.session.told[self.visit][0]
        self.mission = f"answer: {self.asked.text}" if self.asked else LISTEN
        return self._text, self._info()

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Answer, or hear on."""
        if self.asked:
            right = folded(action) in map(folded, self.asked.answers)
            self._text = "Right." if right else "Wrong."
            return self._text, float(right), True, False, self._info() | {"success": right}
        told = self.session.told[self.visit]
        self._heard += 1
        over = self._heard >= len(told)
        self._text = "That was all." if over else told[self._heard]
        return self._text, 0.0, over, False, self._info() | ({"success": True} if over else {})

    def _info(self) -> dict[str, Any]:
        return {
            "mission": self.mission, "kind": self.asked.kind if self.asked else "ingestion", "visit": self.visit,
            "needs": list(self.asked.needs) if self.asked else [], "world": f"{self.name}-{self.world_seed}",
            "available_actions": ["answer"] if self.asked else ["next"],
        }  # fmt: skip

    def understand(self, text: str) -> list[Meaning]:
        """What a sentence or a question says; nothing if it is not of this world's grammar."""
        raise NotImplementedError

    def optimal_steps(self) -> int:
        """Steps to the end."""
        return 1 if self.asked else len(self.session.told[self.visit]) - self._heard

    def render(self) -> Any:
        """The mission and the text of now, as text or as a picture."""
        if self.render_mode == "rgb_array":
            return text_image(self.ansi())
        return self.ansi() if self.render_mode == "ansi" else None

    def ansi(self) -> str:
        """The mission and the text of now."""
        return f"{self.mission}\n{self._text}"


def sentence(words: str) -> str:
    """A statement as it is told."""
    return f"{spoken(words)}."


def question(words: str) -> str:
    """A question as it is asked."""
    return f"{spoken(words)}?"


def bare(text: str) -> list[str]:
    """A statement or question without its frame, with and without a capital."""
    words = text.removeprefix("answer: ").rstrip(".?")
    return [words, words[:1].lower() + words[1:]]
