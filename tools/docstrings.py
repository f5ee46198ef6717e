"""What a docstring says of a function and of its parameters."""

import inspect


def described(function: object) -> tuple[str, dict[str, str]]:
    """Return the first line of a function's docstring, and the descriptions of its parameters by name.

    The styles of Google, NumPy, Sphinx and Epydoc are read.
    """
    words = inspect.getdoc(function) or ""
    first, _, rest = words.partition("\n")
    if not rest.strip():
        return first.strip().rstrip("."), {}
    from docstring_parser import ParseError, parse  # not above: most docstrings have one line

    try:
        parsed = parse(words)
    except ParseError:
        return first.strip().rstrip("."), {}
    parameters = {one.arg_name: " ".join((one.description or "").split()) for one in parsed.params}
    return first.strip().rstrip("."), {name: text for name, text in parameters.items() if text}
