"""Contents: packed and given back, whole and in ranges; files that come, stay and go."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from postroom_store.blobs import (
    FRAME_BYTES,
    BlobFiles,
    Packing,
    digest_of,
    pack,
    unpack,
)

OLD = 1_000_000_000.0


def content_of(size: int) -> bytes:
    return random.Random(size).randbytes(size)


SIZES = [0, 1, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, 3 * FRAME_BYTES]


@pytest.mark.parametrize("size", SIZES)
def test_what_comes_in_pieces_is_packed_like_what_comes_whole(size: int) -> None:
    content = content_of(size)
    packing = Packing()
    for start in range(0, size, 100_003):
        packing.add(content[start : start + 100_003])

    digest, packed = packing.finish()
    packing.close()

    assert packing.size == size
    assert digest == digest_of(content)
    assert packed == pack(content)
    assert unpack(packed, size) == content


@pytest.mark.parametrize("size", SIZES)
def test_ranges_are_those_of_the_content(size: int) -> None:
    content = content_of(size)
    packed = pack(content)
    choose = random.Random(7)
    for _ in range(20):
        start = choose.randint(0, size)
        end = choose.randint(start, size)
        assert unpack(packed, size, start, end) == content[start:end]


def test_a_damaged_content_is_told() -> None:
    with pytest.raises(ValueError, match="damaged"):
        unpack(b"not zstd", 8)


@pytest.fixture
def files(tmp_path: Path) -> BlobFiles:
    return BlobFiles(tmp_path / "blobs")


def make_old(files: BlobFiles, digest: bytes) -> None:
    os.utime(files.path(digest), (OLD, OLD))


def test_old_garbage_goes(files: BlobFiles) -> None:
    digest = digest_of(b"mail")
    files.write(digest, b"packed")
    assert not files.discard(digest, OLD + 1)

    make_old(files, digest)

    assert files.discard(digest, OLD + 1)
    assert not files.path(digest).exists()
    assert not files.discard(digest, OLD + 1)


def test_what_is_written_again_is_no_garbage(files: BlobFiles) -> None:
    digest = digest_of(b"mail")
    files.write(digest, b"packed")
    make_old(files, digest)

    files.write(digest, b"packed")

    assert not files.discard(digest, OLD + 1)
    assert files.read(digest) == b"packed"


def test_what_is_written_again_while_it_is_discarded_stays(
    files: BlobFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = digest_of(b"mail")
    files.write(digest, b"packed")
    make_old(files, digest)
    rename = Path.rename

    def touched_just_before(path: Path, target: Path) -> Path:
        monkeypatch.undo()
        files.write(digest, b"packed")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", touched_just_before)

    assert not files.discard(digest, OLD + 1)
    assert files.read(digest) == b"packed"


def test_what_is_written_again_after_it_was_moved_aside_is_written_anew(
    files: BlobFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = digest_of(b"mail")
    files.write(digest, b"packed")
    make_old(files, digest)
    rename = Path.rename

    def written_just_after(path: Path, target: Path) -> Path:
        monkeypatch.undo()
        moved = rename(path, target)
        files.write(digest, b"packed")
        return moved

    monkeypatch.setattr(Path, "rename", written_just_after)

    assert files.discard(digest, OLD + 1)
    assert files.read(digest) == b"packed"
