"""The Date field as seconds since the epoch (RFC 5322 section 3.3, obsolete forms of section 4.3).

Liberties: a weekday is not checked, a comment may stand anywhere, the order of C's `ctime` is
taken too. RFC 5256 section 2.2 says how a broken one sorts: a bad time is 00:00:00, a bad zone is
UTC, a bad date is no date.
"""

import re
from datetime import date
from typing import Final

_MONTHS: Final = {
    name: number
    for number, name in enumerate(b"jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)
}

# RFC 5322 section 4.3. Military letters were defined wrongly once, so they mean no more than UTC.
_ZONES: Final = {
    b"est": -5,
    b"edt": -4,
    b"cst": -6,
    b"cdt": -5,
    b"mst": -7,
    b"mdt": -6,
    b"pst": -8,
    b"pdt": -7,
}

_TIME: Final = rb"(\d{1,2})\s*[:.]\s*(\d{2})(?:\s*[:.]\s*(\d{2})(?:[.,]\d*)?)?"
_ZONE: Final = rb"\s*(?:([+-])(\d{2}):?(\d{2})|\(?([A-Za-z]+))?"
_DAY_FIRST: Final = re.compile(
    rb"\s*(?:[A-Za-z]+\.?,?\s*)?(\d{1,2})[\s-]+([A-Za-z]{3})[A-Za-z]*\.?,?[\s-]+(\d{2,4})(?!\d)"
    rb"(?:[\s,T-]+" + _TIME + _ZONE + rb")?"
)
_MONTH_FIRST: Final = re.compile(
    rb"\s*(?:[A-Za-z]+,?\s+)?([A-Za-z]{3})[A-Za-z]*\s+(\d{1,2}),?\s+"
    + _TIME
    + _ZONE
    + rb"\s+(\d{4})(?!\d)"
)
_COMMENT: Final = re.compile(rb"\([^()]*\)")
_DATE_BYTES: Final = 200

_EPOCH: Final = date(1970, 1, 1).toordinal()


def parse_date(field: bytes) -> int | None:
    """Return the seconds since the epoch that a Date field stands for, or None."""
    text = field[:_DATE_BYTES]
    found = _DAY_FIRST.match(text)
    if b"(" in text and (found is None or found[4] is None):  # a comment before the time or in it
        text = _COMMENT.sub(b" ", text)
        found = _DAY_FIRST.match(text)
    if found:
        day, month, year, *rest = found.groups()
    elif found := _MONTH_FIRST.match(text):
        month, day, *rest, year = found.groups()
    else:
        return None
    midnight = _midnight(int(day), month, int(year), len(year))
    return None if midnight is None else midnight + _time(*rest[:3]) - _offset(*rest[3:])


def _midnight(day: int, month: bytes, year: int, digits: int) -> int | None:
    if digits == 2:  # RFC 5322 section 4.3
        year += 2000 if year < 50 else 1900
    elif digits == 3:
        year += 1900
    if year < 1900:  # RFC 5322 section 3.3
        return None
    try:
        return 86400 * (date(year, _MONTHS.get(month.lower(), 0), day).toordinal() - _EPOCH)
    except ValueError:
        return None


def _time(hour: bytes | None, minute: bytes | None, second: bytes | None) -> int:
    """Return seconds since midnight; a leap second counts as the one after it."""
    hours, minutes, seconds = int(hour or 0), int(minute or 0), int(second or 0)
    if hours > 23 or minutes > 59 or seconds > 60:
        return 0
    return 3600 * hours + 60 * minutes + seconds


def _offset(
    sign: bytes | None, hours: bytes | None, minutes: bytes | None, name: bytes | None
) -> int:
    """Return seconds east of UTC."""
    if sign is None or hours is None or minutes is None:
        return 3600 * _ZONES.get((name or b"").lower(), 0)
    if int(minutes) > 59:
        return 0
    return (3600 * int(hours) + 60 * int(minutes)) * (-1 if sign == b"-" else 1)
