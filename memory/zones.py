"""Times with zones: a time without a zone of its own is read the same on every machine."""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from memory.errors import InvalidItemError


@lru_cache(maxsize=256)
def zone_of(zone: str) -> tzinfo:
    """Return a time zone by its name in the IANA database (``Europe/Rome``) or its offset (``+02:00``).

    Raises:
        InvalidItemError: There is no such zone.
    """
    if zone in ("UTC", "Z", ""):
        return UTC
    offset = re.fullmatch(r"(?:UTC|GMT)?([+-])(\d{1,2}):?(\d\d)?(?::\d\d)?", zone)
    if offset:
        sign, hours, minutes = offset.groups()
        moved = timedelta(hours=int(hours), minutes=int(minutes or 0))
        if moved < timedelta(hours=24):
            return timezone(-moved if sign == "-" else moved)
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidItemError(f"unknown time zone {zone!r}: expected a name such as Europe/Rome, or +02:00") from error


def parse_time(text: str, zone: tzinfo = UTC) -> datetime:
    """Return the time of an ISO 8601 date or date and time.

    Args:
        text: As ``2024-05-01`` or ``2024-05-01T12:00+02:00``.
        zone: Zone of a text that names none.

    Raises:
        InvalidItemError: It is no such text.
    """
    try:
        return in_zone(datetime.fromisoformat(text.strip()), zone)
    except ValueError as error:
        raise InvalidItemError(f"expected a time such as 2024-05-01 or 2024-05-01T12:00+02:00, got {text!r}") from error


def in_zone(moment: datetime, zone: tzinfo) -> datetime:
    """Return a time with its own zone, or else with ``zone``."""
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def zone_name(moment: datetime, default: str) -> str:
    """Return the name or the offset of the zone of a time."""
    if isinstance(moment.tzinfo, ZoneInfo):
        return moment.tzinfo.key
    return moment.strftime("%z") if moment.tzinfo is not None and moment.utcoffset() is not None else default
