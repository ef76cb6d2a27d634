"""Dates of the wire (RFC 3501 section 9): ``date-time`` of INTERNALDATE, ``date`` of SEARCH."""

import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Self

_MONTHS = tuple(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split())
_MONTH_NUMBERS = {name.lower(): number for number, name in enumerate(_MONTHS, 1)}

_DATE = re.compile(rb"([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})")
_DATE_TIME = re.compile(
    rb"([ 0-9][0-9])-([A-Za-z]{3})-([0-9]{4})"
    rb" ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"
)
_EPOCH = date(1970, 1, 1).toordinal()
_DAY = 86_400
_FIRST_MOMENT = (date.min.toordinal() - _EPOCH) * _DAY
_LAST_MOMENT = (date.max.toordinal() - _EPOCH + 1) * _DAY - 1
_LARGEST_ZONE = 24 * 60 - 1


@dataclass(frozen=True, slots=True, order=True)
class DateTime:
    """A moment: seconds since the epoch (UTC), and the zone it is told in, minutes east of UTC."""

    epoch: int
    zone: int = 0

    def __post_init__(self) -> None:
        if not -_LARGEST_ZONE <= self.zone <= _LARGEST_ZONE:
            raise ValueError("a zone is less than a day away from UTC")
        if not _FIRST_MOMENT <= self.epoch + self.zone * 60 <= _LAST_MOMENT:
            raise ValueError("a year has four digits")

    @classmethod
    def parse(cls, text: bytes) -> Self:
        """From ``17-Jul-1996 02:44:25 -0700``, without quotes; else raises ValueError."""
        match = _DATE_TIME.fullmatch(text)
        if match is None:
            raise ValueError("not a date-time")
        day, month, year, hours, minutes, seconds, sign, zone_hours, zone_minutes = match.groups()
        time_of_day = int(hours) * 3600 + int(minutes) * 60 + int(seconds)
        # 60 is a leap second (RFC 5322 section 3.3).
        if int(hours) > 23 or int(minutes) > 59 or int(seconds) > 60 or int(zone_minutes) > 59:
            raise ValueError("not a time of day")
        zone = int(zone_hours) * 60 + int(zone_minutes)
        zone = -zone if sign == b"-" else zone
        days = _day(day, month, year).toordinal() - _EPOCH
        return cls(days * _DAY + time_of_day - zone * 60, zone)

    def __bytes__(self) -> bytes:
        """``17-Jul-1996 02:44:25 -0700``, without quotes; the day is padded with a space."""
        return format_date_time(self.epoch, self.zone)


def format_date_time(epoch: int, zone: int) -> bytes:
    """What ``bytes(DateTime(epoch, zone))`` gives, for columns of them; the values are sound."""
    days, time_of_day = divmod(epoch + zone * 60, _DAY)
    minutes, seconds = divmod(time_of_day, 60)
    hours, minutes = divmod(minutes, 60)
    return b"%b %02d:%02d:%02d %b" % (_fixed_date(days), hours, minutes, seconds, _zone(zone))


@lru_cache(4096)
def _fixed_date(days: int) -> bytes:
    day = date.fromordinal(_EPOCH + days)
    return b"%2d-%b-%04d" % (day.day, _MONTHS[day.month - 1], day.year)


@lru_cache(256)
def _zone(zone: int) -> bytes:
    return b"%b%02d%02d" % (b"-" if zone < 0 else b"+", *divmod(abs(zone), 60))


def parse_date(text: bytes) -> date:
    """The day that ``1-Feb-1994`` names; raises ValueError where it names none."""
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError("not a date")
    return _day(*match.groups())


def format_date(day: date) -> bytes:
    """``1-Feb-1994``."""
    return b"%d-%b-%04d" % (day.day, _MONTHS[day.month - 1], day.year)


def _day(day: bytes, month: bytes, year: bytes) -> date:
    number = _MONTH_NUMBERS.get(month.lower())
    if number is None:
        raise ValueError("not a month")
    return date(int(year), number, int(day))
