"""How other memories refer to a place."""


def place_name(place: int) -> str:
    """A place's name in slots of traces and in facts, for example ``"place 12"``."""
    return f"place {place}"


def place_number(name: str) -> int | None:
    """The id in a place's name, ``None`` for any other name."""
    word, _, number = name.partition(" ")
    return int(number) if word == "place" and number.isascii() and number.isdecimal() and len(number) < 19 else None
