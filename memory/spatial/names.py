"""How other memories refer to a place."""


def place_name(place: int) -> str:
    """A place's name in slots of traces and in facts, for example ``"place 12"``."""
    return f"place {place}"
