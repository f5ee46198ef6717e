"""What a world says with an observation, and what can be read from the words of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from memory.spatial.told import told_view
from memory.spatial.view import ACTIONS, MOVES


def with_view(text: str, info: Mapping[str, Any], actions: Sequence[str]) -> Mapping[str, Any]:
    """Return ``info`` with the view and the possible actions that a text tells, where the world gives no view.

    Args:
        text: The observation.
        info: What the world says with it.
        actions: Names of the world's actions; in a world of cells those that move are among them.
    """
    if info.get("view") or not {*MOVES} <= {*actions}:
        return info
    view = told_view(text)
    if view is None:
        return info
    able = [name for name in view.pop("available") if name in actions]
    others = [name for name in actions if name not in ACTIONS]
    return {"available_actions": able + others, **info, "view": view}
