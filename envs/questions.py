"""Base of the question-answering worlds: the agent first listens, later it is asked."""

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
        kind: The kind of question, for statistics.
        text: The question.
        answers: All right answers; any of them counts.
        needs: The memories that it can't be answered without.
    """

    kind: str
    text: str
    answers: tuple[str, ...]
    needs: tuple[str, ...]


@dataclass(frozen=True)
class Session:
    """The sentences that are told on each ingestion visit, and the questions that follow."""

    told: Sequence[Sequence[str]]
    asked: Sequence[Asked]


def plain(text: str) -> str:
    """Reduce a text to ASCII: letters lose their accents, other characters are left out."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def folded(text: str) -> str:
    """Normalize an answer for comparison: no case, accents, articles, punctuation (much as SQuAD's exact match)."""
    return " ".join(_ARTICLES.sub(" ", re.sub(r"[^\w\s]", " ", plain(text).lower())).split())


class ListenAndAnswer(Visited, gym.Env[str, str]):
    """A world with ingestion visits and then visits with one question each; the seed selects the visit.

    Attributes:
        named_actions: ``next`` asks for the next sentence during ingestion; an answer is any text.
        waiting: The observation when an answer is expected.
        extractive: Whether every right answer consists of words in view.
        ingestion: Number of ingestion visits, on which something is told and nothing is asked.
        expert: Name of the expert policy, which plays through the agent's tools.
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
        """All right answers, any of which counts; none during ingestion."""
        return self.asked.answers if self.asked else ()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Begin a visit; the seed selects the world and the visit, without a seed both are drawn."""
        super().reset(seed=seed, options=options)
        self.seed_played = int(self.np_random.integers(SEEDS)) if seed is None else seed
        self.session = self.write_session(self.world_seed, self.split, seeding.np_random(self.world_seed)[0])
        self._heard = 0
        self._text = self.waiting if self.asked else self.session.told[self.visit][0]
        self.mission = f"answer: {self.asked.text}" if self.asked else LISTEN
        return self._text, self._info()

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Answer the question, or hear the next sentence."""
        if self.asked:
            right = folded(action) in map(folded, self.asked.answers)
            self._text = "Right." if right else "Wrong."
            return self._text, float(right), True, False, self._info() | {"success": right}
        sentences = self.session.told[self.visit]
        self._heard += 1
        over = self._heard >= len(sentences)
        self._text = "That was all." if over else sentences[self._heard]
        return self._text, 0.0, over, False, self._info() | ({"success": True} if over else {})

    def _info(self) -> dict[str, Any]:
        return {
            "mission": self.mission,
            "kind": self.asked.kind if self.asked else "ingestion",
            "visit": self.visit,
            "needs": list(self.asked.needs) if self.asked else [],
            "world": f"{self.name}-{self.world_seed}",
            "available_actions": ["answer"] if self.asked else ["next"],
        }

    def understand(self, text: str) -> list[Meaning]:
        """Return the meanings of a sentence or a question; none if it is not of this world's grammar."""
        raise NotImplementedError

    def optimal_steps(self) -> int:
        """Return the number of steps to the end of the visit."""
        return 1 if self.asked else len(self.session.told[self.visit]) - self._heard

    def render(self) -> Any:
        """Render the mission and the current text, as text or as a picture."""
        if self.render_mode == "rgb_array":
            return text_image(self.ansi())
        return self.ansi() if self.render_mode == "ansi" else None

    def ansi(self) -> str:
        """Return the mission and the current text."""
        return f"{self.mission}\n{self._text}"


def sentence(words: str) -> str:
    """Turn the words of a statement into a sentence with a capital and a full stop."""
    return f"{spoken(words)}."


def question(words: str) -> str:
    """Turn the words of a question into a sentence with a capital and a question mark."""
    return f"{spoken(words)}?"


def bare(text: str) -> list[str]:
    """Return a statement or question without its prefix and punctuation, with and without a capital."""
    words = text.removeprefix("answer: ").rstrip(".?")
    return [words, words[:1].lower() + words[1:]]
