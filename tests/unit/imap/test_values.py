"""The small values: limits, flags, secrets, refusals, base64."""

import pytest
from postroom_imap.protocol import flag
from postroom_imap.protocol.invalid import InvalidCommand, Refusal
from postroom_imap.protocol.limits import Limits
from postroom_imap.protocol.sasl import decode_base64
from postroom_imap.protocol.secret import Secret


def test_a_limit_is_positive() -> None:
    with pytest.raises(ValueError, match="line must be positive"):
        Limits(line=0)


def test_a_search_must_fit_the_stack() -> None:
    with pytest.raises(ValueError, match="search_depth"):
        Limits(search_depth=5000)


@pytest.mark.parametrize(
    ("name", "found"),
    [("\\seen", flag.SEEN), ("\\DELETED", flag.DELETED), ("\\Recent", None), ("Seen", None)],
)
def test_system_flags_in_any_case(name: str, found: str | None) -> None:
    assert flag.system_flag(name) == found


def test_a_secret_is_not_shown() -> None:
    secret = Secret(b"sesame")
    assert "sesame" not in f"{secret!r} {secret}"
    assert secret.value == b"sesame"


@pytest.mark.parametrize(
    ("refusal", "reply"),
    [
        (InvalidCommand(b"a", "No"), b"a BAD No\r\n"),
        (InvalidCommand(None, "No"), b"* BAD No\r\n"),
        (InvalidCommand(b"a", "No", b"TOOBIG"), b"a BAD [TOOBIG] No\r\n"),
        (InvalidCommand(b"a", "No", refusal=Refusal.NO), b"a NO No\r\n"),
        (InvalidCommand(b"a", "No", b"TOOBIG", fatal=True), b"* BYE [TOOBIG] No\r\n"),
    ],
)
def test_a_refusal_knows_its_reply(refusal: InvalidCommand, reply: bytes) -> None:
    assert refusal.reply() == reply


def test_base64() -> None:
    assert decode_base64(b"AGE=") == b"\0a"
    assert decode_base64(b"") == b""


@pytest.mark.parametrize("text", [b"A", b"AGE", b"AG E=", b"=", b"AGE=AGE=", b"\xff", b"AGE-"])
def test_what_is_no_base64(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_base64(text)
