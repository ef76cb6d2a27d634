"""Contents: named by the digest of their plain bytes, compressed, byte-exact on the way out.

Small ones stand in rows, the others in rows or in files, as configured. A file is written, synced
and renamed before the transaction that refers to it; what no transaction came to refer to is
garbage, swept after a grace time.

A packed content is a run of zstd frames of 1 MiB of plain bytes each, so that a range of a large
one is read without the rest.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import zstandard

DIGEST_BYTES = 32
FRAME_BYTES = 1024 * 1024
LEVEL = 3
ASIDE = ".garbage"  # what a file's name ends in while it is being removed

_local = threading.local()


def digest_of(content: bytes) -> bytes:
    """The name of a content: BLAKE2b-256 (RFC 7693)."""
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest()


def pack(content: bytes) -> bytes:
    """Compress a content."""
    compressor = getattr(_local, "compressor", None)
    if compressor is None:
        compressor = _local.compressor = zstandard.ZstdCompressor(level=LEVEL)
    if len(content) <= FRAME_BYTES:
        return bytes(compressor.compress(content))
    view = memoryview(content)
    return b"".join(
        compressor.compress(view[start : start + FRAME_BYTES])
        for start in range(0, len(content), FRAME_BYTES)
    )


class Packing:
    """A content that comes in pieces, packed frame by frame as `pack` would have it.

    What is packed lies in a temporary file once it is large, so that memory holds a frame.
    """

    def __init__(self) -> None:
        self.size = 0
        self._digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
        self._rest = bytearray()
        self._packed = tempfile.SpooledTemporaryFile(max_size=FRAME_BYTES)

    def add(self, piece: bytes) -> None:
        """Take the next piece. Raises OSError."""
        self.size += len(piece)
        self._digest.update(piece)
        self._rest += piece
        while len(self._rest) > FRAME_BYTES:
            self._packed.write(pack(bytes(self._rest[:FRAME_BYTES])))
            del self._rest[:FRAME_BYTES]

    def finish(self) -> tuple[bytes, bytes]:
        """The digest and the packed content. Raises OSError."""
        if self._rest or not self.size:
            self._packed.write(pack(bytes(self._rest)))
            self._rest.clear()
        self._packed.seek(0)
        return self._digest.digest(), self._packed.read()

    def close(self) -> None:
        self._packed.close()


def unpack(packed: bytes, size: int, start: int = 0, end: int | None = None) -> bytes:
    """A range of the plain bytes, the whole by default.

    Args:
        size: of the whole plain content.

    Raises ValueError where it is not what was packed.
    """
    decompressor = getattr(_local, "decompressor", None)
    if decompressor is None:
        decompressor = _local.decompressor = zstandard.ZstdDecompressor()
    end = size if end is None else min(end, size)
    try:
        if size <= FRAME_BYTES:
            plain: bytes = decompressor.decompress(packed, max_output_size=max(size, 1))
            return plain if start == 0 and end == size else plain[start:end]
        return _unpack_frames(decompressor, packed, start, end)
    except zstandard.ZstdError as error:
        raise ValueError("a damaged content") from error


def _unpack_frames(
    decompressor: zstandard.ZstdDecompressor, packed: bytes, start: int, end: int
) -> bytes:
    first, last = start // FRAME_BYTES, max(end - 1, start) // FRAME_BYTES
    pieces: list[bytes] = []
    rest = memoryview(packed)
    for number in range(last + 1):
        frame = decompressor.decompressobj()
        plain = frame.decompress(rest)
        rest = rest[len(rest) - len(frame.unused_data) :]
        if number >= first:
            pieces.append(plain)
    offset = first * FRAME_BYTES
    return b"".join(pieces)[start - offset : end - offset]


@dataclass(frozen=True, slots=True)
class BlobFiles:
    """Contents in files: `<folder>/ab/cd/<digest>`."""

    folder: Path

    def path(self, digest: bytes) -> Path:
        name = digest.hex()
        return self.folder / name[:2] / name[2:4] / name

    def write(self, digest: bytes, packed: bytes) -> None:
        """Keep a content durably. Raises OSError."""
        path = self.path(digest)
        try:
            os.utime(path)  # `discard` must not take it for old garbage
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f".{secrets.token_hex(8)}")
            with open(temporary, "wb") as file:
                file.write(packed)
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(path)
        # One that is there already may have been renamed by another writer a moment ago.
        for folder in (path.parent, path.parent.parent, self.folder):
            _sync_folder(folder)

    def read(self, digest: bytes) -> bytes:
        """A packed content. Raises OSError."""
        path = self.path(digest)
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return self._aside(path).read_bytes()

    def discard(self, digest: bytes, older_than: float) -> bool:
        """Remove garbage, unless it was written again meanwhile; tell whether it went.

        Args:
            older_than: Unix seconds.

        It is moved aside first: a writer that finds it touches it, which is seen afterwards, and
        one that doesn't find it writes it anew.
        """
        path = self.path(digest)
        aside = self._aside(path)
        try:
            if path.stat().st_mtime >= older_than:
                return False
            path.rename(aside)
            if aside.stat().st_mtime >= older_than:
                aside.rename(path)
                return False
            aside.unlink()
        except FileNotFoundError:  # somebody else sweeps too
            return False
        return True

    def put_back(self, aside: Path) -> None:
        """Undo a `discard` that a crash left half done: the content is judged anew."""
        path = aside.with_suffix("")
        if path.exists():
            aside.unlink(missing_ok=True)
        else:
            with suppress(FileNotFoundError):
                aside.rename(path)

    def _aside(self, path: Path) -> Path:
        return path.with_name(path.name + ASIDE)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
