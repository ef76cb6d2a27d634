"""Settings that are checked before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from postroom_imap.settings import ImapSettings
from pydantic import ValidationError


def settings(tmp_path: Path, shared_filters: str) -> ImapSettings:
    for name in ("certificate", "key", "authority"):
        (tmp_path / name).touch()
    return ImapSettings(
        rpc_certificate=tmp_path / "certificate",
        rpc_key=tmp_path / "key",
        rpc_authority=tmp_path / "authority",
        auth_address="auth:1",
        store_address="store:1",
        shared_filters=shared_filters,
    )


def test_shared_filters(tmp_path: Path) -> None:
    made = settings(tmp_path, "\nBoss FROM boss\n  small SMALLER 5 UNSEEN \n")
    assert made.server_annotations == {
        "/shared/filters/values/boss": b"FROM boss",
        "/shared/filters/values/small": b"SMALLER 5 UNSEEN",
    }


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("boss", "filter 1 holds no search keys"),
        ("a SEEN\nb NO-SUCH-KEY", "filter 2 holds no search keys: Unknown search key"),
        ("a/b SEEN", "filter 1 needs a name"),
    ],
)
def test_filters_that_are_none(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        settings(tmp_path, text)
