"""Files that ``hippo kg load`` reads: texts, and lines of passages or tuples."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from agent.commands.memory import seconds
from memory import InvalidItemError, Provenance
from memory.reading import Passage
from memory.relational import Tuple
from memory.relational.extract import validate_text
from memory.relational.names import canonical

_PASSAGE, _TUPLE = {"text", "title", "speaker"}, {"head", "relation", "tail", "conf", "text_span"}
_ORIGIN = {"source", "doc_id", "time"}


def items_of(file: Path, source: str) -> Iterator[Passage | Tuple]:
    """Yield the passages or tuples of a file, each of them checked."""
    if file.is_dir():
        raise InvalidItemError(f"{file} is a folder: name the files in it")
    if not file.is_file():
        raise InvalidItemError(f"there is no file {file}")
    if file.suffix.lower() not in (".txt", ".md", ".jsonl"):
        raise InvalidItemError(f"expected a .txt, .md or .jsonl file, got {file.name!r}")
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidItemError(f"{file} is not UTF-8 text: {error}") from error
    if file.suffix.lower() != ".jsonl":
        for number, part in enumerate(p.strip() for p in re.split(r"\n\s*\n", text) if p.strip()):
            validate_text(part)
            yield Passage(part, "", Provenance(source, doc_id=f"{file.name}#{number}"))
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield _item(line, f"{file.name}:{number}", source)
            except InvalidItemError as error:
                raise InvalidItemError(f"{file}:{number}: {error}; nothing was loaded") from error


def _item(line: str, where: str, source: str) -> Passage | Tuple:
    try:
        data = json.loads(line)
    except ValueError as error:
        raise InvalidItemError(f"not JSON ({error})") from error
    if not isinstance(data, dict) or ("text" in data) == ("head" in data):
        raise InvalidItemError(
            'expected either {"text": ..., "title": ...} or {"head": ..., "relation": ..., "tail": ...}, '
            f"got {line[:80]!r}"
        )
    allowed = (_PASSAGE if "text" in data else _TUPLE) | _ORIGIN
    if unknown := sorted(set(data) - allowed):
        raise InvalidItemError(f"unknown key {unknown[0]!r}: expected some of {', '.join(sorted(allowed))}")
    words = {name: _text(data, name) for name in data if name not in ("time", "conf")}
    origin = Provenance(words.get("source", source), words.get("doc_id", words.get("title", where)))
    if "time" in data:
        seconds(str(data["time"]))  # says what was expected
        with suppress(ValueError):
            data["time"] = float(data["time"])
        origin = replace(origin, time=data["time"])
    if "text" in data:
        if not validate_text(words["text"]).strip():
            raise InvalidItemError("a passage needs words, got an empty text")
        return Passage(words["text"], words.get("title", ""), origin, speaker=words.get("speaker", ""))
    conf = data.get("conf", 1.0)
    if isinstance(conf, bool) or not isinstance(conf, int | float):
        raise InvalidItemError(f"conf must be a number in [0, 1], got {conf!r}")
    head, relation, tail = (words.get(name, "") for name in ("head", "relation", "tail"))
    origin = replace(origin, text_span=words.get("text_span", ""))
    names = Tuple(head, relation, tail, conf=float(conf), provenance=origin).names()
    return Tuple(*canonical(*names), conf=float(conf), provenance=origin)


def _text(data: Mapping[str, Any], name: str) -> str:
    if not isinstance(data[name], str):
        raise InvalidItemError(f"{name} must be text, got {data[name]!r}")
    return validate_text(data[name])
