"""Bearer tokens: only their hashes are kept, and what is removed ends."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

import pytest
from postroom_admin.tokens import TokenFile, new_token, read_tokens, write_tokens
from postroom_chassis.errors import PostroomError


def test_a_token_opens_by_its_hash_alone(tmp_path: Path) -> None:
    token, kept = new_token("ann")
    other, kept_too = new_token("backup-script")
    write_tokens(tmp_path / "tokens", [kept, kept_too])
    file = TokenFile(tmp_path / "tokens")
    assert (file.bearer(token), file.bearer(other)) == ("ann", "backup-script")
    assert file.bearer(token + "x") is None
    assert file.bearer("") is None
    assert file.bearer(kept.digest) is None
    assert token not in (tmp_path / "tokens").read_text()
    assert kept.digest == hashlib.sha256(token.encode()).hexdigest()


def test_a_token_that_is_removed_ends_and_a_new_one_opens(tmp_path: Path) -> None:
    token, kept = new_token("ann")
    other, kept_too = new_token("ben")
    write_tokens(tmp_path / "tokens", [kept])
    file = TokenFile(tmp_path / "tokens")
    assert file.bearer(token) == "ann"
    write_tokens(tmp_path / "tokens", [kept_too])
    assert file.bearer(token) is None
    assert file.bearer(other) == "ben"


def test_a_broken_file_lets_nobody_in_until_it_is_mended(tmp_path: Path) -> None:
    token, kept = new_token("ann")
    path = tmp_path / "tokens"
    write_tokens(path, [kept])
    file = TokenFile(path)
    path.write_text("ann nonsense\n")
    for _ in range(2):
        with pytest.raises(PostroomError, match="line 1"):
            file.bearer(token)
    write_tokens(path, [kept])
    assert file.bearer(token) == "ann"


def test_there_may_be_no_file_yet(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    token, kept = new_token("ann")
    file = TokenFile(path)
    assert file.empty
    assert file.bearer(token) is None
    write_tokens(path, [kept])
    assert file.bearer(token) == "ann"
    path.unlink()
    with pytest.raises(FileNotFoundError):
        file.bearer(token)
    with pytest.raises(FileNotFoundError):
        TokenFile(tmp_path / "nowhere" / "tokens")


def test_only_its_owner_can_read_the_file(tmp_path: Path) -> None:
    write_tokens(tmp_path / "tokens", [])
    assert stat.S_IMODE((tmp_path / "tokens").stat().st_mode) == 0o600


def test_comments_and_empty_lines_are_passed_over() -> None:
    digest = "0" * 64
    (only,) = read_tokens(f"# who may\n\nann {digest}  # until May\n")
    assert (only.name, only.digest) == ("ann", digest)


@pytest.mark.parametrize("line", ["ann", f"ann {'0' * 63}", f"a/n {'0' * 64}", "a b c"])
def test_a_line_that_is_wrong_is_told_by_its_number(line: str) -> None:
    with pytest.raises(PostroomError, match="line 2 is not NAME and SHA-256"):
        read_tokens(f"# first\n{line}\n")
