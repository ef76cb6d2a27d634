"""Reverse-paths that are rewritten, and what comes back to them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_smtp.protocol.srs import MOST_LOCAL, Forged, Rewriting, read_verp, verp

NOW = 1_800_000_000.0
DAY = 86_400
HERE = Rewriting("here.example", [b"secret"])
THERE = Rewriting("there.example", [b"another"])
WORD = st.from_regex(r"[a-z0-9][a-z0-9._+=-]{0,20}[a-z0-9]", fullmatch=True)
DOMAIN = st.from_regex(r"[a-z]{1,10}\.example", fullmatch=True)


@given(WORD, DOMAIN, st.integers(0, 20))
def test_what_goes_out_comes_back(local: str, domain: str, days: int) -> None:
    sender = f"{local}@{domain}"
    ours = HERE.forward(sender, NOW)
    assert ours.endswith("@here.example")
    assert HERE.reverse(ours, NOW + days * DAY) == sender
    assert HERE.reverse(ours.upper(), NOW) is not None


@given(WORD, DOMAIN)
def test_by_way_of_two(local: str, domain: str) -> None:
    """The second one keeps the first, and hands bounces to him."""
    first = HERE.forward(f"{local}@{domain}", NOW)
    second = THERE.forward(first, NOW)
    assert second.startswith("SRS1=")
    assert THERE.reverse(second, NOW) == first
    third = Rewriting("third.example", [b"x"])
    again = third.forward(second, NOW)
    assert third.reverse(again, NOW) == first


def test_what_stays_as_it_is() -> None:
    assert HERE.forward("", NOW) == ""
    assert HERE.forward("ann@Here.example", NOW) == "ann@Here.example"
    long = "x" * MOST_LOCAL + "@there.example"
    assert HERE.forward(long, NOW) == long
    assert HERE.reverse("ann@here.example", NOW) is None
    assert HERE.reverse("srs0fan@here.example", NOW) is None
    assert HERE.reverse(HERE.forward("a@b.example", NOW).replace("here", "other"), NOW) is None


@given(st.text(max_size=60))
def test_nothing_is_made_up(text: str) -> None:
    with pytest.raises(Forged):
        HERE.reverse(f"SRS0={text}@here.example", NOW)
    with pytest.raises(Forged):
        HERE.reverse(f"SRS1={text}@here.example", NOW)


def test_an_address_is_of_use_for_three_weeks() -> None:
    ours = HERE.forward("ann@there.example", NOW)
    assert HERE.reverse(ours, NOW - DAY) == "ann@there.example"
    for day in (-2, 22, 400):
        with pytest.raises(Forged):
            HERE.reverse(ours, NOW + day * DAY)


def test_secrets_change() -> None:
    ours = HERE.forward("ann@there.example", NOW)
    assert Rewriting("here.example", [b"new", b"secret"]).reverse(ours, NOW) == "ann@there.example"
    with pytest.raises(Forged):
        Rewriting("here.example", [b"new"]).reverse(ours, NOW)


def test_verp() -> None:
    made = verp("list@here.example", "ann+x@there.example")
    assert made == "list+ann+x=there.example@here.example"
    assert read_verp(made) == ("list@here.example", "ann+x@there.example")
    assert verp("", "ann@there.example") == ""
    assert verp("list@here.example", "a@b.example", "-=") == "list-a=b.example@here.example"


@pytest.mark.parametrize("address", ["", "list@here.example", "list+ann@here.example", "+a=b@c"])
def test_no_verp(address: str) -> None:
    assert read_verp(address) is None
