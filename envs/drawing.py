"""Drawing of worlds, as ANSI text and as pictures."""

import textwrap

import numpy as np
from minigrid.minigrid_env import MiniGridEnv
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

_COLORS = {"red": 31, "green": 32, "blue": 34, "purple": 35, "yellow": 33, "grey": 90}
_SYMBOLS = {"ball": "●", "key": "⚷", "box": "■", "goal": "▒", "lava": "≈", "floor": "·"}
_AGENT = "▶▼◀▲"


def text_image(text: str, columns: int = 80) -> NDArray[np.uint8]:
    """Draw a text as a picture, uint8 ``[height, width, 3]``, black on white."""
    lines = [line for part in text.splitlines() for line in textwrap.wrap(part, columns) or [""]]
    font = ImageFont.load_default(14)
    picture = Image.new("RGB", (columns * 8 + 16, 20 * len(lines) + 16), "white")
    ImageDraw.Draw(picture).multiline_text((8, 8), "\n".join(lines), "black", font, spacing=4)
    return np.asarray(picture, np.uint8)


def ansi(env: MiniGridEnv, hidden: tuple[int, int] | None = None) -> str:
    """Draw a whole MiniGrid world with ANSI colours, two columns a cell.

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
