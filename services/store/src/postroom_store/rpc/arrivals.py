"""New messages of a request, made ready to be kept."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext

from postroom.store.v1 import message_pb2
from postroom_chassis.errors import Kind, PostroomError

from postroom_store import annotation
from postroom_store.annotating import check_parts
from postroom_store.annotation import Annotation, Setting
from postroom_store.ingest import Content
from postroom_store.messages import Arrival
from postroom_store.metadata import SHARED
from postroom_store.references import Reference
from postroom_store.transaction import Transaction
from postroom_store.uploads import Contents, sizes_of

INLINE_BYTES = 1024 * 1024
MOST_MESSAGES = 1000  # in one request, and as many pieces of catenations
MOST_TIMES = 4  # the largest message that the uploads of a request may add up to


# The bytes that a reference names; None where that is nothing.
ReadReference = Callable[[Reference], Awaitable[bytes | None]]


class BadReference(Exception):
    """A piece of a catenation names nothing."""

    def __init__(self, message: int, piece: int) -> None:
        super().__init__()
        self.message = message
        self.piece = piece


class Arrivals:
    """The messages of one request.

    Args:
        account_id: whose uploads they may name.
        read_reference: reads what a piece of a catenation refers to; None where there can be none.
        annotator: whose the private annotations are that come along; None where there can be none.
        stays: whether the messages go to that account.

    Attributes:
        ready: the messages, while `taking` lasts.
    """

    def __init__(
        self,
        contents: Contents,
        account_id: int,
        read_reference: ReadReference | None = None,
        *,
        annotator: int | None = None,
        stays: bool = False,
    ) -> None:
        self._contents = contents
        self._account_id = account_id
        self._read_reference = read_reference
        self._annotator = annotator
        self._stays = stays
        self._upload_ids: list[bytes] = []
        self._room = contents.most_bytes
        self.ready: list[Arrival] = []

    @asynccontextmanager
    async def taking(self, incoming: Sequence[message_pb2.NewMessage]) -> AsyncIterator[None]:
        """Make messages ready, for as long as the context lasts.

        Raises: PostroomError: INVALID, TOO_LARGE, LIMIT_EXCEEDED, NOT_FOUND (an upload).
            BadReference.
        """
        self._check(incoming)
        large = self._upload_ids or any(m.HasField("catenation") for m in incoming)
        if self._upload_ids:
            size = await self._contents.sizes(self._account_id, self._upload_ids)
            if size > MOST_TIMES * self._contents.most_bytes:
                raise PostroomError(Kind.TOO_LARGE, "the messages are too large together")
        async with self._contents.large if large else nullcontext():
            for number, message in enumerate(incoming):
                date = message.internaldate if message.HasField("internaldate") else None
                content = await self._content(number, message)
                annotated = self._annotated(message, content)
                self.ready.append(Arrival(content, list(message.flags), date, annotated))
            yield
        self.ready.clear()

    def check(self, transaction: Transaction) -> None:
        """See that the uploads are still there, and their contents with them."""
        if self._upload_ids and self._stays:
            sizes_of(transaction.connection, self._account_id, self._upload_ids)

    def _check(self, incoming: Sequence[message_pb2.NewMessage]) -> None:
        if not incoming:
            raise PostroomError(Kind.INVALID, "a message is needed")
        pieces = [piece for message in incoming for piece in message.catenation.pieces]
        if max(len(incoming), len(pieces)) > MOST_MESSAGES:
            raise PostroomError(Kind.LIMIT_EXCEEDED, f"more than {MOST_MESSAGES} messages")
        if pieces and self._read_reference is None:
            raise PostroomError(Kind.INVALID, "nothing can be catenated here")
        sources: list[message_pb2.NewMessage | message_pb2.Catenation.Piece] = [*incoming, *pieces]
        if sum(len(source.content) for source in sources) > INLINE_BYTES:
            raise PostroomError(Kind.INVALID, "more than 1 MiB must be uploaded first")
        self._upload_ids = [s.upload_id for s in sources if s.WhichOneof("source") == "upload_id"]

    def _annotated(self, message: message_pb2.NewMessage, content: Content) -> Sequence[Annotation]:
        """The annotations that a message comes with. Raises PostroomError: INVALID, TOO_LARGE."""
        if not message.annotations:
            return ()
        if self._annotator is None:
            raise PostroomError(Kind.INVALID, "nothing can be annotated here")
        settings = settings_of_messages(message.annotations, self._annotator)
        annotation.check(settings)
        check_parts(content.derived.structure, settings)
        return [
            Annotation(one.entry, one.holder, one.value)
            for one in settings
            if one.value is not None
        ]

    async def _content(self, number: int, message: message_pb2.NewMessage) -> Content:
        match message.WhichOneof("source"):
            case "upload_id":
                return await self._contents.uploaded(
                    self._account_id, message.upload_id, stays=self._stays
                )
            case "catenation":
                content = await self._catenate(number, message.catenation.pieces)
                return await self._contents.prepare(content)
        return await self._contents.prepare(message.content)

    async def _catenate(self, number: int, pieces: Sequence[message_pb2.Catenation.Piece]) -> bytes:
        """Put a message together; all of a request have at most the largest message's size."""
        whole = bytearray()
        for place, piece in enumerate(pieces):
            data = await self._piece(piece)
            if data is None:
                raise BadReference(number, place)
            self._room -= len(data)
            if self._room < 0:
                raise PostroomError(Kind.TOO_LARGE, "the catenated message is too large")
            whole += data
        if not whole:
            raise PostroomError(Kind.INVALID, "a message isn't empty")
        return bytes(whole)

    async def _piece(self, piece: message_pb2.Catenation.Piece) -> bytes | None:
        match piece.WhichOneof("source"):
            case "upload_id":
                return await self._contents.uploaded_bytes(self._account_id, piece.upload_id)
            case "reference" if self._read_reference is not None:
                wanted = piece.reference
                partial = wanted.partial if wanted.HasField("partial") else None
                reference = Reference(
                    wanted.name,
                    wanted.uid_validity,
                    wanted.uid,
                    wanted.section,
                    partial.offset if partial else 0,
                    partial.length if partial and partial.length else None,
                )
                return await self._read_reference(reference)
        return piece.content


def settings_of_messages(
    incoming: Sequence[message_pb2.NewAnnotation], person: int
) -> list[Setting]:
    """Annotations as they shall be; private ones are the person's."""
    return [
        Setting(
            one.entry,
            SHARED if one.shared else person,
            one.value if one.HasField("value") else None,
        )
        for one in incoming
    ]
