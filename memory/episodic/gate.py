"""The write gate: it decides which events are worth remembering."""

from pydantic import BaseModel, ConfigDict, Field


class WriteGate(BaseModel):
    """Neuromodulated write gate: ``S = alpha*surprise + beta*novelty + gamma*reward + delta*pin``.

    An event is written iff ``S > tau``. ``surprise`` is ``1 - exp(-mean(-log p))`` of the
    observation's tokens under the model, that is one minus the geometric mean of their
    probabilities: 0 if every token was certain, 1 if one was impossible. ``novelty`` is one minus the
    greatest cosine to a remembered key. Of ``reward`` the absolute value counts. All three are in [0, 1].
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    alpha: float = Field(0.3, ge=0, description="Weight of surprise.")
    beta: float = Field(0.7, ge=0, description="Weight of novelty.")
    gamma: float = Field(1.0, ge=0, description="Weight of the absolute value of the reward.")
    delta: float = Field(1.0, ge=0, description="Weight of a pin (`remember`).")
    tau: float = Field(0.3, description="Threshold.")

    def score(self, surprise: float = 0.0, novelty: float = 0.0, reward: float = 0.0, pin: bool = False) -> float:
        """Return the score S of an event."""
        return (
            self.alpha * surprise + self.beta * novelty + self.gamma * min(abs(reward), 1.0) + self.delta * float(pin)
        )

    def opens(self, score: float) -> bool:
        """Return whether an event of this score is written."""
        return score > self.tau


SHUT = WriteGate(tau=1e9)
"""A write gate that never opens."""
