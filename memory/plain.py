"""Records that also read as mappings, for callers who want plain data."""

from collections.abc import Iterator
from typing import Any


class ReadsAsDict:
    """A record that reads as a dictionary too: ``record["score"]``, ``dict(record)``, ``"score" in record``.

    Subclasses say with :meth:`plain` what the keys hold.
    """

    __slots__ = ()

    def plain(self) -> dict[str, Any]:
        """Return the record as a dictionary."""
        raise NotImplementedError

    def keys(self) -> list[str]:
        """Return the names of what the record holds."""
        return list(self.plain())

    def get(self, name: str, default: Any = None) -> Any:
        """Return one value, or the default."""
        return self.plain().get(name, default)

    def __getitem__(self, name: str) -> Any:
        return self.plain()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.plain())

    def __len__(self) -> int:
        return len(self.plain())

    def __contains__(self, name: object) -> bool:
        return name in self.plain()
