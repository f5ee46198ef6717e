"""Worlds that are visited in several episodes; the seed selects the world and the visit."""

from envs.splits import Split, split_of


class Visited:
    """A world that lasts for several episodes.

    Attributes:
        visits: Number of episodes in one world: seeds ``visits * n`` to ``visits * n + visits - 1``. An agent
            that plays them in turn with one memory can use what it learnt on earlier visits.
        seed_played: The seed of this episode.
    """

    visits = 1
    seed_played = 0

    @property
    def world_seed(self) -> int:
        """Which world this is: the same for all visits to it."""
        return self.seed_played // self.visits

    @property
    def visit(self) -> int:
        """Which visit to the world this is, from 0."""
        return self.seed_played % self.visits

    @property
    def split(self) -> Split:
        """The split that the world belongs to."""
        return split_of(self.world_seed * self.visits)
