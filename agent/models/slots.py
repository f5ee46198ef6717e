"""Which slot of an engine holds which conversation, and which of its tokens."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

from agent.chat import Chat


@dataclass(eq=False)
class Kept:
    """What an engine keeps of one conversation.

    Attributes:
        slot: Its slot.
        tokens: The tokens whose keys and values are there.
    """

    slot: int
    tokens: list[int] = field(default_factory=list)


class Slots:
    """The slots of an engine; a conversation that begins gets the first one that is free."""

    def __init__(self) -> None:
        self._kept: dict[Chat, Kept] = {}
        self._free: list[int] = []

    def __len__(self) -> int:
        """Return the number of conversations that have a slot."""
        return len(self._kept)

    def __getitem__(self, chat: Chat) -> Kept:
        """Return what is kept of a conversation that has a slot."""
        return self._kept[chat]

    def held(self, chat: Chat) -> int:
        """Return how many tokens of a conversation are kept."""
        return len(self._kept[chat].tokens) if chat in self._kept else 0

    def cut(self, chat: Chat, tokens: Sequence[int]) -> int:
        """Keep only the longest part with which ``tokens`` begin, and return its length; a new chat gets a slot."""
        if chat not in self._kept:
            slot = heapq.heappop(self._free) if self._free else len(self._kept)
            self._kept[chat] = Kept(slot)
        kept = self._kept[chat].tokens
        same = next((at for at, (a, b) in enumerate(zip(kept, tokens, strict=False)) if a != b), None)
        del kept[min(len(kept), len(tokens)) if same is None else same :]
        return len(kept)

    def release(self, chat: Chat) -> None:
        """Free the slot of a conversation that has ended."""
        if chat in self._kept:
            heapq.heappush(self._free, self._kept.pop(chat).slot)

    def clear(self) -> None:
        """Free all slots."""
        self._kept.clear()
        self._free.clear()
