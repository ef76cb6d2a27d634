"""What is sealed opens by its key alone, and as what it was sealed for."""

from __future__ import annotations

import base64

import pytest
from postroom_auth.sealing import Sealed, Sealer, Unreadable, read_keys

OLD, NEW = b"o" * 32, b"n" * 32


def test_what_is_sealed_can_be_opened() -> None:
    sealer = Sealer({"a": OLD})
    sealed = sealer.seal(b"secret", b"ann")
    assert sealed.key_id == "a"
    assert b"secret" not in sealed.octets
    assert "secret" not in repr(sealed)
    assert sealer.open(sealed, b"ann") == b"secret"


def test_the_same_text_is_never_sealed_the_same() -> None:
    sealer = Sealer({"a": OLD})
    assert sealer.seal(b"secret", b"ann") != sealer.seal(b"secret", b"ann")


def test_what_belongs_to_another_does_not_open() -> None:
    sealer = Sealer({"a": OLD})
    with pytest.raises(Unreadable):
        sealer.open(sealer.seal(b"secret", b"ann"), b"ben")


def test_the_first_key_seals_and_all_open() -> None:
    sealed = Sealer({"a": OLD}).seal(b"secret", b"ann")
    both = Sealer({"b": NEW, "a": OLD})
    assert both.open(sealed, b"ann") == b"secret"
    assert both.seal(b"secret", b"ann").key_id == "b"
    with pytest.raises(Unreadable, match="no key a"):
        Sealer({"b": NEW}).open(sealed, b"ann")
    with pytest.raises(Unreadable):
        Sealer({"a": NEW}).open(sealed, b"ann")


@pytest.mark.parametrize("octets", [b"", b"short", b"x" * 12, b"x" * 28, b"x" * 100])
def test_what_was_never_sealed_does_not_open(octets: bytes) -> None:
    with pytest.raises(Unreadable):
        Sealer({"a": OLD}).open(Sealed("a", octets), b"ann")


def test_keys_are_read_in_their_order() -> None:
    old, new = (base64.b64encode(key).decode() for key in (OLD, NEW))
    assert list(read_keys(f"b:{new},a:{old}").items()) == [("b", NEW), ("a", OLD)]
    assert list(read_keys(f"b:{new}\n a:{old}\n")) == ["b", "a"]
    assert read_keys("") == {}


@pytest.mark.parametrize(
    "text",
    ["a", "a:", "a:x", "a:" + base64.b64encode(b"short").decode(), "a-b:AAAA", ":AAAA"],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="key"):
        read_keys(text)
    key = "a:" + base64.b64encode(OLD).decode()
    with pytest.raises(ValueError, match="two keys"):
        read_keys(f"{key},{key}")
