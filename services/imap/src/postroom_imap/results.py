"""What of a search's results is answered, and what of them is saved (RFC 4731, 5182, 9394)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from postroom_imap.protocol.commands.result_options import ResultOption, ResultOptions
from postroom_imap.protocol.sequence_set import in_order


def data_items(
    result: ResultOptions, numbers: Sequence[int], scores: Sequence[int] = ()
) -> Iterator[bytes]:
    """The return data of an ESEARCH response.

    Args:
        numbers: all that was found, in the order asked for: of SORT, MIN is the first and MAX the
            last of that order (RFC 5267 section 3.1).
        scores: how relevant each is, where that is asked for.
    """
    if numbers:
        if ResultOption.MIN in result:
            yield b"MIN %d" % numbers[0]
        if ResultOption.MAX in result:
            yield b"MAX %d" % numbers[-1]
        if ResultOption.ALL in result:
            yield b"ALL " + in_order(numbers)
    if ResultOption.COUNT in result:
        yield b"COUNT %d" % len(numbers)
    if result.partial is not None:
        part = in_order(numbers[result.partial.slice_of(len(numbers))])
        yield b"PARTIAL (%b %b)" % (result.partial.wire, part or b"NIL")
        scores = scores[result.partial.slice_of(len(numbers))]
    if ResultOption.RELEVANCY in result:
        yield b"RELEVANCY (%b)" % b" ".join(map(b"%d".__mod__, scores))


def referred(result: ResultOptions, found: Sequence[int]) -> Sequence[int]:
    """Those that the answer is about: all, unless no more is asked for than some of them.

    `$` stands for these (RFC 5182 section 2.4, RFC 9394 section 3.2).
    """
    some = {ResultOption.MIN, ResultOption.MAX} & result.options
    whole = {ResultOption.ALL, ResultOption.COUNT} & result.options
    if whole or not (some or result.partial):
        return found
    wanted: list[int] = []
    if result.partial is not None:
        wanted += found[result.partial.slice_of(len(found))]
    if found and ResultOption.MIN in some:
        wanted.append(found[0])
    if found and ResultOption.MAX in some:
        wanted.append(found[-1])
    return sorted(set(wanted))
