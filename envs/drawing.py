"""A MiniGrid world as coloured text, two columns a cell."""

from minigrid.minigrid_env import MiniGridEnv

_COLORS = {"red": 31, "green": 32, "blue": 34, "purple": 35, "yellow": 33, "grey": 90}
_SYMBOLS = {"ball": "●", "key": "⚷", "box": "■", "goal": "▒", "lava": "≈", "floor": "·"}
_AGENT = "▶▼◀▲"


def ansi(env: MiniGridEnv, hidden: tuple[int, int] | None = None) -> str:
    """Draw the whole world with ANSI colours.

    Args:
        env: The world.
        hidden: A cell to mark although the agent can't see it.
    """
    lines = []
    for y in range(env.grid.height):
        row = ""
        for x in range(env.grid.width):
            if (x, y) == tuple(env.agent_pos):
                row += f"\x1b[1;97m{_AGENT[env.agent_dir]}\x1b[0m "
                continue
            cell = env.grid.get(x, y)
            if cell is None:
                row += "\x1b[36m◌\x1b[0m " if (x, y) == hidden else "\x1b[90m·\x1b[0m "
            elif cell.type == "wall":
                row += "\x1b[90m██\x1b[0m"
            else:
                symbol = ("◇" if cell.is_open else "◆") if cell.type == "door" else _SYMBOLS.get(cell.type, "?")
                row += f"\x1b[{_COLORS[cell.color]}m{symbol}\x1b[0m "
        lines.append(row)
    return "\n".join(lines)
