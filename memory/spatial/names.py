"""Names by which the other memories refer to a place."""


def place_name(place: int) -> str:
    """Return the name of a place in slots of traces and in facts, for example ``"place 12"``."""
    return f"place {place}"


def place_number(name: str) -> int | None:
    """Return the id in the name of a place, ``None`` for any other name."""
    word, _, number = name.partition(" ")
    return int(number) if word == "place" and number.isascii() and number.isdecimal() and len(number) < 19 else None
