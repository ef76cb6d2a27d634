from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime, parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_mime import parse_date


def utc(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp())  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("field", "seconds"),
    [
        (b"Fri, 21 Nov 1997 09:55:06 -0600", utc(1997, 11, 21, 15, 55, 6)),
        (b"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)", utc(1996, 7, 17, 9, 23, 25)),
        (b"1 Apr 2024 00:00 +0530", utc(2024, 3, 31, 18, 30)),
        # RFC 5322 appendix A.5 and A.6.2, A.6.3
        (b"Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n"
         b"               -0330 (Newfoundland Time)", utc(1969, 2, 14, 3, 2)),
        (b"21 Nov 97 09:55:06 GMT", utc(1997, 11, 21, 9, 55, 6)),
        (b"Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", utc(1997, 11, 21, 15, 55, 6)),
        # RFC 5322 section 4.3: years and zones
        (b"1 Jan 49 00:00:00 UT", utc(2049, 1, 1)),
        (b"1 Jan 50 00:00:00 UT", utc(1950, 1, 1)),
        (b"1 Jan 102 00:00:00 UT", utc(2002, 1, 1)),
        (b"1 Jan 2000 12:00:00 EST", utc(2000, 1, 1, 17)),
        (b"1 Jan 2000 12:00:00 PDT", utc(2000, 1, 1, 19)),
        (b"1 Jan 2000 12:00:00 A", utc(2000, 1, 1, 12)),
        (b"1 Jan 2000 12:00:00 CEST", utc(2000, 1, 1, 12)),
        (b"1 Jan 2000 12:00:00 -0000", utc(2000, 1, 1, 12)),
        (b"1 Jan 2000 12:00:00 +01:00", utc(2000, 1, 1, 11)),
        (b"1 Jan 2000 12:00:00 (EST)", utc(2000, 1, 1, 17)),
        (b"30 Jun 2015 23:59:60 +0000", utc(2015, 7, 1)),
        # other orders and writings
        (b"Mon Feb  7 21:52:25 1994", utc(1994, 2, 7, 21, 52, 25)),
        (b"Mon Feb 7 21:52:25 PST 1994", utc(1994, 2, 8, 5, 52, 25)),
        (b"Monday, 07-Feb-94 21:52:25 GMT", utc(1994, 2, 7, 21, 52, 25)),
        (b"7 February 1994 21.52.25 GMT", utc(1994, 2, 7, 21, 52, 25)),
        # RFC 5256 section 2.2: bad time, bad zone
        (b"1 Jan 2000", utc(2000, 1, 1)),
        (b"1 Jan 2000 25:00:00 +0000", utc(2000, 1, 1)),
        (b"1 Jan 2000 12:00:00 +0061", utc(2000, 1, 1, 12)),
    ],
)  # fmt: skip
def test_parse(field: bytes, seconds: int) -> None:
    assert parse_date(field) == seconds


@pytest.mark.parametrize(
    "field",
    [b"", b"yesterday", b"31 Feb 2000 00:00:00 +0000", b"1 Foo 2000 00:00:00 +0000",
     b"0 Jan 2000", b"1 Jan 1899 00:00:00 +0000", b"1 Jan 20000 00:00:00 +0000", b"\xff" * 500],
)  # fmt: skip
def test_no_date(field: bytes) -> None:
    assert parse_date(field) is None


ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(datetime(1900, 1, 2), datetime(9999, 12, 30), timezones=ZONES))
def test_agrees_with_the_stdlib(when: datetime) -> None:
    field = format_datetime(when)
    assert parse_date(field.encode()) == int(parsedate_to_datetime(field).timestamp())


@given(st.binary(max_size=60) | st.text("0123456789 :+-JanFeb,()", max_size=40).map(str.encode))
def test_any_bytes_are_a_date_or_none(field: bytes) -> None:
    assert isinstance(parse_date(field), int | None)
