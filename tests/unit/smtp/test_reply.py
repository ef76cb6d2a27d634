"""Replies: their classes agree, and what is temporary is told so."""

from __future__ import annotations

import pytest
from postroom_chassis.errors import Kind, PostroomError
from postroom_smtp.protocol import reply
from postroom_smtp.protocol.reply import Reply


@pytest.mark.parametrize(("code", "enhanced"), [(450, "5.1.1"), (550, "4.1.1"), (250, "4.0.0")])
def test_a_reply_does_not_contradict_itself(code: int, enhanced: str) -> None:
    with pytest.raises(ValueError, match="contradict"):
        Reply(code, enhanced, "x")


@pytest.mark.parametrize("text", ["two\r\nlines", "bell\a"])
def test_a_reply_is_one_line(text: str) -> None:
    with pytest.raises(ValueError, match="line"):
        Reply(250, "2.0.0", text)


@pytest.mark.parametrize("kind", Kind)
def test_mail_is_refused_for_good_by_its_size_alone(kind: Kind) -> None:
    answer = reply.refusal(PostroomError(kind, "inside"))
    assert answer.permanent == (kind is Kind.TOO_LARGE)
    assert "inside" not in str(answer)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (Kind.UNAUTHENTICATED, 535),
        (Kind.UNSUPPORTED, 504),
        (Kind.INVALID, 501),
        (Kind.UNAVAILABLE, 454),
        (Kind.RATE_LIMITED, 454),
        (Kind.INTERNAL, 454),
    ],
)
def test_signing_in_fails_for_good_or_for_now(kind: Kind, code: int) -> None:
    assert reply.sign_in_refusal(PostroomError(kind, "inside")).code == code
