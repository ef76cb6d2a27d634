"""Names that ask for a mailbox."""

from __future__ import annotations

import pytest
from postroom_auth.domain.mailbox_name import split_name


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("ann@example.org", ("ann@example.org", "")),
        ("ann", ("ann", "")),
        ("ann+Lists@example.org", ("ann@example.org", "Lists")),
        ("ann+Lists/Two words@example.org", ("ann@example.org", "Lists/Two words")),
        ("ann+a+b@example.org", ("ann@example.org", "a+b")),
        ("ann+a@b@example.org", ("ann@example.org", "a@b")),
        ("ann+Entwürfe", ("ann", "Entwürfe")),
        ("ann+@example.org", ("ann+@example.org", "")),
        ("+Lists@example.org", ("+Lists@example.org", "")),
        ("", ("", "")),
    ],
)
def test_a_name_and_its_mailbox(name: str, parts: tuple[str, str]) -> None:
    assert split_name(name) == parts
