"""Dates of the wire (RFC 3501 section 9)."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_imap.protocol.date_time import (
    DateTime,
    format_date,
    format_date_time,
    parse_date,
)

# The years 2 to 9998, so that no zone leads out of the four digits.
EPOCHS = st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1)).map(
    lambda moment: int(moment.replace(tzinfo=UTC).timestamp())
)
ZONES = st.integers(-1439, 1439)


def test_rfc_3501_example() -> None:
    text = b"17-Jul-1996 02:44:25 -0700"
    moment = DateTime.parse(text)
    assert datetime.fromtimestamp(moment.epoch, UTC) == datetime(1996, 7, 17, 9, 44, 25, tzinfo=UTC)
    assert moment.zone == -420
    assert bytes(moment) == text


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        (b" 1-jan-1970 00:00:00 +0000", DateTime(0)),
        (b"01-JAN-1970 00:30:00 +0030", DateTime(0, 30)),
        (b"31-Dec-1969 23:29:59 -0030", DateTime(-1, -30)),
        (b"29-Feb-2000 12:00:00 +0545", DateTime(951_804_900, 345)),
        (b"31-Dec-2016 23:59:60 +0000", DateTime(1_483_228_800)),  # a leap second
    ],
)
def test_parse(text: bytes, moment: DateTime) -> None:
    assert DateTime.parse(text) == moment


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"1-Jan-1970 00:00:00 +0000",
        b"32-Jan-1970 00:00:00 +0000",
        b"00-Jan-1970 00:00:00 +0000",
        b"29-Feb-2001 00:00:00 +0000",
        b"01-Foo-1970 00:00:00 +0000",
        b"01-Jan-0000 00:00:00 +0000",
        b"01-Jan-1970 00:00:00 +2400",
        b"01-Jan-1970 24:00:00 +0000",
        b"01-Jan-1970 00:60:00 +0000",
        b"01-Jan-1970 00:00:61 +0000",
        b"01-Jan-1970 00:00:00 +0060",
        b"01-Jan-1970 00:00:00 GMT",
        b"01-Jan-1970 00:00:00 +0000 ",
        b"31-Dec-9999 23:59:60 +0000",
    ],
)
def test_what_is_none(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        DateTime.parse(text)


@pytest.mark.parametrize(("epoch", "zone"), [(0, 1440), (0, -1440), (10**12, 0), (-(10**12), 0)])
def test_wrong_moments_are_unbuildable(epoch: int, zone: int) -> None:
    with pytest.raises(ValueError, match=r"."):
        DateTime(epoch, zone)


@given(EPOCHS, ZONES)
def test_parse_undoes_format(epoch: int, zone: int) -> None:
    moment = DateTime(epoch, zone)
    assert DateTime.parse(bytes(moment)) == moment
    assert bytes(moment) == format_date_time(epoch, zone)
    assert len(bytes(moment)) == 26


@given(st.dates())
def test_parse_date_undoes_format_date(day: date) -> None:
    assert parse_date(format_date(day)) == day


@pytest.mark.parametrize("text", [b"1-Feb-1994", b"01-feb-1994"])
def test_parse_date(text: bytes) -> None:
    assert parse_date(text) == date(1994, 2, 1)


@pytest.mark.parametrize("text", [b"", b"30-Feb-1994", b"1-2-1994", b"1-Feb-94", b"1-Feb-1994 "])
def test_what_is_no_date(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_date(text)


@given(st.binary(max_size=30))
def test_any_bytes_are_a_moment_or_a_value_error(text: bytes) -> None:
    for parse in (DateTime.parse, parse_date):
        with pytest.raises(ValueError, match=r"."):
            parse(text)
