"""Cleaning of text at the borders: what comes from models, tools, servers and environments becomes valid Unicode."""

MAX_ERROR = 400
"""Greatest number of characters that are shown of a foreign error."""


def clean_text(text: str) -> str:
    """Return a text without lone surrogates, which no file and no database can hold.

    Pairs of surrogates are joined to the character that they mean; a lone one becomes U+FFFD.
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def text_of(value: object) -> str:
    """Return any value as clean text; one that can't be shown as text is named by its type."""
    try:
        return clean_text(str(value))
    except (Exception, SystemExit) as error:  # the boundary: a foreign __str__ may raise anything
        return f"({type(value).__name__} that can't be shown as text: {type(error).__name__})"


def clean_data(value: object) -> object:
    """Return a value of JSON's types with all its texts clean."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict):
        return {clean_data(key): clean_data(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean_data(item) for item in value]
    return value
