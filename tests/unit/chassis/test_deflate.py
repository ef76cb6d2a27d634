"""DEFLATE streams, in pieces of any size, and in bounded memory."""

from __future__ import annotations

import os
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_chassis.net.deflate import PIECE_BYTES, Deflation, Inflation, MalformedDeflate


def raw() -> zlib._Compress:
    """A peer's compressor."""
    return zlib.compressobj(wbits=-15)


def flushed(data: bytes, mode: int = zlib.Z_SYNC_FLUSH) -> bytes:
    peer = raw()
    return peer.compress(data) + peer.flush(mode)


def all_of(inflation: Inflation) -> bytes:
    return b"".join(iter(inflation.inflate, b""))


def test_what_is_deflated_can_be_inflated_after_each_flush() -> None:
    out, peer = Deflation(), zlib.decompressobj(-15)
    for said in (b"* OK hello\r\n", b"", b"a OK done\r\n", os.urandom(100_000)):
        assert peer.decompress(out.compress(said) + out.flush()) == said
    assert out.flush() == b""


def test_repetition_costs_little() -> None:
    out = Deflation()
    line = b"* 12 FETCH (UID 4711 FLAGS (\\Seen $Forwarded))\r\n"
    first = len(out.compress(line) + out.flush())
    second = len(out.compress(line) + out.flush())
    assert first < len(line) + 10
    assert second < first / 3


def test_a_compressor_that_rests_is_followed_by_another_one() -> None:
    out, peer = Deflation(), zlib.decompressobj(-15)
    line = b"a line that was said before\r\n"
    assert peer.decompress(out.compress(line) + out.flush()) == line
    out.rest()
    again = out.compress(line) + out.flush()  # it was used since: the dictionary is there
    out.rest()
    assert out.busy
    out.rest()
    assert not out.busy
    anew = out.compress(line) + out.flush()
    assert len(again) < len(anew)
    assert peer.decompress(again + anew) == line + line


def test_a_compressor_with_something_to_say_does_not_rest() -> None:
    out, peer = Deflation(), zlib.decompressobj(-15)
    begun = out.compress(b"unflushed")
    out.rest()
    out.rest()
    assert peer.decompress(begun + out.flush()) == b"unflushed"


@pytest.mark.parametrize("rests", [0, 2])
def test_the_end_can_be_told(rests: int) -> None:
    out, peer = Deflation(), zlib.decompressobj(-15)
    sent = out.compress(b"bye\r\n") + out.flush()
    for _ in range(rests):
        out.rest()
    assert peer.decompress(sent + out.finish() + b"* OK plain\r\n") == b"bye\r\n"
    assert peer.eof
    assert peer.unused_data == b"* OK plain\r\n"


@given(st.lists(st.binary(max_size=50), max_size=10), st.data())
def test_input_in_any_pieces(said: list[bytes], data: st.DataObject) -> None:
    peer = raw()
    sent = b"".join(peer.compress(part) + peer.flush(zlib.Z_SYNC_FLUSH) for part in said)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=8)))
    inflation = Inflation()
    heard = b""
    for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
        inflation.feed(sent[start:end])
        heard += all_of(inflation)
    assert heard == b"".join(said)
    assert not inflation.pending


def test_a_bomb_goes_off_piece_by_piece() -> None:
    size = 50_000_000
    inflation = Inflation(flushed(b"\0" * size))
    assert len(inflation) < size / 900
    pieces = 0
    while piece := inflation.inflate():
        assert len(piece) <= PIECE_BYTES
        assert len(inflation) < size / 900
        pieces += len(piece)
    assert pieces == size


def test_what_is_no_deflate() -> None:
    inflation = Inflation(b"a NOOP\r\n" * 3)
    with pytest.raises(MalformedDeflate):
        all_of(inflation)


def test_more_after_the_end_of_the_stream() -> None:
    inflation = Inflation(flushed(b"a NOOP\r\n", zlib.Z_FINISH) + b"b NOOP\r\n")
    assert inflation.inflate() == b"a NOOP\r\n"
    with pytest.raises(MalformedDeflate):
        inflation.inflate()


LAST = b"u UNAUTHENTICATE\r\n"
NEXT = b"a LOGIN fred secret\r\nb SELECT INBOX\r\n"
ENDS = {
    "sync": zlib.Z_SYNC_FLUSH,
    "full": zlib.Z_FULL_FLUSH,
    "finish": zlib.Z_FINISH,
}


@pytest.mark.parametrize("end", ENDS)
def test_what_follows_the_stream_is_plain_wherever_it_is_cut(end: str) -> None:
    compressed = flushed(LAST, ENDS[end])
    sent = compressed + NEXT
    for cut in range(len(sent)):
        inflation = Inflation(sent[:cut])
        heard = all_of(inflation) if cut < len(compressed) else inflation.inflate()
        if heard != LAST:  # more is needed before the command can be obeyed
            inflation.feed(sent[cut:])
            heard += inflation.inflate()
            assert heard == LAST
            inflation.end()
        else:
            inflation.end()
            inflation.feed(sent[cut:])
        assert all_of(inflation) == NEXT, cut
        assert inflation.over


def test_what_follows_a_flush_that_cannot_be_seen() -> None:
    # An old peer's partial flush ends within an octet: no marker is behind the command.
    inflation = Inflation(flushed(LAST, zlib.Z_PARTIAL_FLUSH))
    assert all_of(inflation) == LAST
    inflation.end()
    assert inflation.inflate() == b""
    inflation.feed(NEXT)
    assert all_of(inflation) == NEXT


def test_what_was_compressed_behind_the_end_is_dropped() -> None:
    inflation = Inflation(flushed(b"x" * (PIECE_BYTES + 10)) + NEXT)
    assert len(inflation.inflate()) == PIECE_BYTES
    inflation.end()
    assert all_of(inflation) == NEXT
