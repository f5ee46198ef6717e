"""Dates in words, as intervals of time: ``2010``, ``last week``, ``two years ago``, ``3 May 2025``."""

import logging
import re
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from functools import cache, lru_cache
from typing import Any, Literal

from memory.zones import zone_of

Direction = Literal["past", "future"]

_TENS = ("twenties", "thirties", "forties", "fifties", "sixties", "seventies", "eighties", "nineties")
_SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}
_FILLER = re.compile(
    r"^(?:(?:the|early|mid|late|about|around|approximately|roughly|beginning|start|middle|end|of|on|in|at|during)"
    r"[ -])+",
    re.IGNORECASE,
)
_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen".split()
)
_TIMES_TEN = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_NUMBERS: dict[str, float] = {
    **{word: number for number, word in enumerate(_ONES)},
    **{word: 20 + 10 * number for number, word in enumerate(_TIMES_TEN)},
    **{f"{ten}-{_ONES[one]}": 20 + 10 * number + one for number, ten in enumerate(_TIMES_TEN) for one in range(1, 10)},
} | {"a": 1, "an": 1, "couple": 2, "couple of": 2, "few": 3, "several": 3, "half a": 0.5}
_UNITS = {"minute": 60.0, "hour": 3600.0, "day": 86400.0, "week": 7 * 86400.0, "fortnight": 14 * 86400.0}
_VOCABULARY = frozenset(
    "jan january feb february mar march apr april may jun june jul july aug august sep sept september oct october nov"
    " november dec december monday mon tuesday tue tues wednesday wed thursday thu thurs friday fri saturday sat sunday"
    " sun day days week weeks fortnight month months year years hour hours minute minutes ago in on of the at from now"
    " last next this past today tomorrow yesterday before after a an one two three four five six seven eight nine ten"
    " eleven twelve st nd rd th am pm ad ce decade decades".split()
)
_LENGTH = re.compile(
    r"(?:(?:for|the|last|past|about|around|over|almost|nearly|more than)\s+)*"
    r"(?:(?P<n>\d+(?:\.\d+)?)|(?P<word>half a|a couple of|a few|couple of|[a-z-]+))\s+"
    r"(?P<unit>minute|hour|day|week|fortnight|month|year|decade)s?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Span:
    """An interval ``[start, end)`` in seconds since the epoch."""

    start: float
    end: float


def read_date(words: str, told: float, zone: str = "UTC", direction: Direction = "past") -> Span | None:
    """Return the interval that a date in words names, seen from the time of telling; ``None`` if it names none.

    Args:
        words: As ``"3 May 2025"``, ``"last week"``, ``"2010"``, ``"the 1990s"``, ``"two years ago"``.
        told: Time of telling, in seconds since the epoch.
        zone: Zone of the teller.
        direction: Whether a date without a year is the last one before the telling or the next one after it.
    """
    text = " ".join(words.lower().replace(",", " ").split())
    if not text or len(text) > 80:
        return None
    where = zone_of(zone)
    try:
        base = datetime.fromtimestamp(told, where).replace(tzinfo=None)
    except (OverflowError, ValueError, OSError):
        return None
    found = _read(text, base, direction)
    if found is None:
        return None
    start, end = (_seconds(moment, where) for moment in found)
    return Span(start, end)


def length_of(words: str) -> float | None:
    """Return the seconds of a duration in words, as ``"three years"``; ``None`` if it is none."""
    match = _LENGTH.fullmatch(" ".join(words.lower().split()))
    if match is None:
        return None
    number = float(match["n"]) if match["n"] else _NUMBERS.get(re.sub(r"^a (?=couple|few)", "", match["word"]))
    if number is None:
        return None
    return number * (
        _UNITS.get(match["unit"]) or {"month": 30.4375, "year": 365.25, "decade": 3652.5}[match["unit"]] * 86400
    )


def _seconds(moment: datetime, where: tzinfo) -> float:
    return moment.replace(tzinfo=where).timestamp()


@lru_cache(maxsize=4096)
def _read(text: str, base: datetime, direction: Direction) -> tuple[datetime, datetime] | None:
    """Return the interval as naive times in the teller's zone."""
    text = _ORDINAL.sub(lambda match: f"{_ORDINALS[match[1]]} ", text)
    try:
        return (
            _by_pattern(text, base, direction)
            or _by_parser(text, base, direction)
            or _by_parser(_FILLER.sub("", text), base, direction)
        )
    except (OverflowError, ValueError):  # a year outside the calendar
        return None


_ORDINALS = {
    word: number
    for number, word in enumerate(
        "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth"
        " fifteenth sixteenth seventeenth eighteenth nineteenth twentieth".split(),
        start=1,
    )
}
_ORDINAL = re.compile(rf"\b(?:the )?({'|'.join(_ORDINALS)}) of (?=[a-z]+\b)")


def _by_pattern(text: str, base: datetime, direction: Direction) -> tuple[datetime, datetime] | None:
    bare = _FILLER.sub("", text)
    day = base.replace(hour=0, minute=0, second=0, microsecond=0)
    if match := re.fullmatch(r"(\d{3,4})(?: (?:ad|ce))?", bare):
        year = int(match[1])
        return datetime(year, 1, 1), datetime(year + 1, 1, 1)
    if match := re.fullmatch(r"(\d{3})0'?s", bare):
        return datetime(int(match[1]) * 10, 1, 1), datetime(int(match[1]) * 10 + 10, 1, 1)
    if match := re.fullmatch(rf"(?:nineteen[ -]?)?({'|'.join(_TENS)})", bare):
        year = 1920 + 10 * _TENS.index(match[1])
        return datetime(year, 1, 1), datetime(year + 10, 1, 1)
    if match := re.fullmatch(r"(\d{1,2})(?:st|nd|rd|th) century", bare):
        return datetime((int(match[1]) - 1) * 100 + 1, 1, 1), datetime(int(match[1]) * 100 + 1, 1, 1)
    if match := re.fullmatch(rf"(last|this|next)? ?({'|'.join(_SEASONS)})(?: of)? ?(\d{{4}})?", bare):
        month = _SEASONS[match[2]]
        year = int(match[3]) if match[3] else base.year
        start = datetime(year, month, 1)
        if not match[3] and (match[1] == "last" or (direction == "past" and match[1] != "next")) and start > base:
            start = datetime(year - 1, month, 1)
        if not match[3] and (match[1] == "next" or (direction == "future" and match[1] != "last")) and start <= base:
            start = datetime(year + 1, month, 1)
        return start, _months(start, 3)
    if bare in ("today", "tonight", "this morning", "this afternoon", "this evening", "this day"):
        return day, day + timedelta(days=1)
    if bare in ("last night", "yesterday morning", "yesterday afternoon", "yesterday evening", "yesterday night"):
        return day - timedelta(days=1), day
    if bare in ("tomorrow morning", "tomorrow afternoon", "tomorrow evening", "tomorrow night"):
        return day + timedelta(days=1), day + timedelta(days=2)
    if match := re.fullmatch(r"(last|this|next|the past|past) (week|weekend|month|year)", text):
        return _calendar(match[1].removeprefix("the "), match[2], day)
    if match := re.fullmatch(r"(?:(a few|a couple of|several) )?(days|weeks|months|years) ago", text):
        unit = length_of(f"{match[1] or 'a few'} {match[2]}") or 0.0
        start = base - timedelta(seconds=unit)
        return start, start + timedelta(days=1)
    return None


def _calendar(which: str, unit: str, day: datetime) -> tuple[datetime, datetime]:
    step = {"last": -1, "past": -1, "this": 0, "next": 1}[which]
    if unit in ("week", "weekend"):
        monday = day - timedelta(days=day.weekday()) + timedelta(weeks=step)
        return (
            (monday, monday + timedelta(days=7))
            if unit == "week"
            else (monday + timedelta(days=5), monday + timedelta(days=7))
        )
    if unit == "month":
        start = _months(day.replace(day=1), step)
        return start, _months(start, 1)
    start = datetime(day.year + step, 1, 1)
    return start, datetime(start.year + 1, 1, 1)


def _months(start: datetime, count: int) -> datetime:
    month = start.month - 1 + count
    return start.replace(year=start.year + month // 12, month=month % 12 + 1, day=1)


def _by_parser(text: str, base: datetime, direction: Direction) -> tuple[datetime, datetime] | None:
    if not re.search(r"\d|day|week|month|year|ago|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|tomorrow", text):
        return None
    if re.fullmatch(r"\d{1,2}([:.]\d\d)?( ?[ap]\.?m\.?)?|\d{1,2} o'?clock|\d+(st|nd|rd|th)?", text):
        return None  # an hour of the day, or a mere number
    if any(word not in _VOCABULARY for word in re.findall(r"[a-z]+", text)):
        return None
    if length_of(text) is not None and not re.match(r"in\b", text):
        return None  # "three years" is a duration, not a date
    data = _parser(direction, base).get_date_data(text)
    if data.date_obj is None:
        return None
    start = data.date_obj.replace(tzinfo=None)
    day = start.replace(hour=0, minute=0, second=0, microsecond=0)
    if data.period == "year":
        return day.replace(month=1, day=1), datetime(day.year + 1, 1, 1)
    if data.period == "month":
        return day.replace(day=1), _months(day.replace(day=1), 1)
    if data.period == "week":
        monday = day - timedelta(days=day.weekday())
        return monday, monday + timedelta(days=7)
    return day, day + timedelta(days=1)


def _parser(direction: Direction, base: datetime) -> Any:
    parser = _made(direction)
    parser._settings = parser._settings.replace(RELATIVE_BASE=base)
    return parser


@cache
def _made(direction: Direction) -> Any:
    logging.getLogger("dateparser").setLevel(logging.ERROR)
    from dateparser.date import DateDataParser

    return DateDataParser(languages=["en"], settings={"PREFER_DATES_FROM": direction})
