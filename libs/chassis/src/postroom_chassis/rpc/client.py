"""The calling side of every RPC.

`Channel` stands in for grpc.aio.Channel where the generated stubs are made: it gives each call a
deadline, the trace context and, in `ticketed`, a ticket, sends unary calls over one stream
(`multiplex`), and raises PostroomError. When certificate files change, what begins from then on
goes over a new connection, and the old one stays until all that is under way on it has ended.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, TypeVar, cast

import grpc

from postroom_chassis import logs, tracing
from postroom_chassis.errors import KIND_OF_STATUS, Kind, PostroomError
from postroom_chassis.followed_files import FollowedFiles
from postroom_chassis.rpc.callers import SUFFIX
from postroom_chassis.rpc.multiplex import CallStream
from postroom_chassis.rpc.server import KIND_KEY, MAX_ANSWER, MAX_MESSAGE, TICKET_KEY
from postroom_chassis.settings import Tls

log = logs.logger(__name__)

UNARY_SECONDS = 20.0
TOGETHER_SECONDS = 60.0  # of a stream of answers that comes at once
TOGETHER_KEY = "together"  # never sent
OURS = "/postroom."  # services whose calls ride the stream; gRPC's own (health) don't
# Of a stream: what the slowest client that is served may take. Its own time limits, one for each
# read, end it long before; this one is for what nobody ends.
STREAM_SECONDS = 6 * 3600.0

Stub = TypeVar("Stub")
Metadata = tuple[tuple[str, str], ...]


class Channel:
    """A connection to one service.

    Args:
        address: host:port.
        service: the name that its certificate must bear ("store").
        tls: our own certificate, whose files are followed.
        clock: seconds, monotonic.
    """

    def __init__(
        self, address: str, service: str, tls: Tls, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._address = address
        self._service = service
        self._tls = tls
        self._followed = FollowedFiles((tls.certificate, tls.key, tls.authority), clock)
        self._newest = self._connect()
        self._retiring: set[asyncio.Task[None]] = set()

    @property
    def plain(self) -> grpc.aio.Channel:
        """gRPC's own channel, with the newest certificate that could be read."""
        return self._connection.grpc

    async def close(self) -> None:
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        await self._newest.close()

    def stub(self, stub_class: Callable[[grpc.aio.Channel], Stub]) -> Stub:
        """A generated stub whose calls go through this channel."""
        return stub_class(cast(grpc.aio.Channel, self))

    @property
    def _connection(self) -> _Connection:
        """What a call rides that begins now."""
        if self._followed.due and (times := self._followed.changed) is not None:
            self._reconnect(times)
        return self._newest

    def _reconnect(self, times: tuple[int, ...]) -> None:
        """Take up changed files; a broken pair is logged and the old connection stays."""
        try:
            # On trial: gRPC would tell of a key of another certificate by failing calls alone.
            trial = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            trial.load_cert_chain(self._tls.certificate, self._tls.key)
            trial.load_verify_locations(self._tls.authority)
            newest = self._connect()
        except (OSError, ssl.SSLError) as error:
            file = str(self._tls.certificate)
            log.error("rpc.certificate_unusable", file=file, error=str(error))
            return
        self._followed.taken(times)
        log.info("rpc.certificate_loaded", file=str(self._tls.certificate), service=self._service)
        retiring = asyncio.create_task(self._newest.retire())
        self._retiring.add(retiring)
        retiring.add_done_callback(self._retiring.discard)
        self._newest = newest

    def _connect(self) -> _Connection:
        credentials = grpc.ssl_channel_credentials(
            root_certificates=self._tls.authority.read_bytes(),
            private_key=self._tls.key.read_bytes(),
            certificate_chain=self._tls.certificate.read_bytes(),
        )
        return _Connection(
            grpc.aio.secure_channel(
                self._address,
                credentials,
                options=[
                    ("grpc.ssl_target_name_override", self._service + SUFFIX),
                    ("grpc.max_receive_message_length", MAX_ANSWER),
                    ("grpc.max_send_message_length", MAX_MESSAGE),
                    # A replica that vanished with its machine is noticed before who waits gives up.
                    ("grpc.keepalive_time_ms", 10_000),
                    ("grpc.keepalive_timeout_ms", 5_000),
                    ("grpc.initial_reconnect_backoff_ms", 100),
                    # Of each attempt to connect, too, where nobody answers at an address.
                    ("grpc.min_reconnect_backoff_ms", 2_000),
                    ("grpc.max_reconnect_backoff_ms", 500),
                    # One that comes back, or takes its place, may be at another address.
                    ("grpc.dns_min_time_between_resolutions_ms", 1_000),
                ],
            )
        )

    def _begins(self, shape: str, method: str, *serializers: Any, **named: Any) -> Any:
        """What begins calls of a method, each on the connection of its moment."""
        made: tuple[_Connection, Any] | None = None

        def begin(requests: Any, **how: Any) -> Any:
            nonlocal made
            connection = self._connection
            if made is None or made[0] is not connection:
                make = getattr(connection.grpc, shape)
                made = connection, make(method, *serializers, **named)
            return connection.hold(made[1](requests, **how))

        return begin

    # What generated stubs ask of a channel.

    def unary_unary(
        self, method: str, request_serializer: Any, response_deserializer: Any, **_: Any
    ) -> Any:
        alone = (
            None
            if method.startswith(OURS)
            else self._begins("unary_unary", method, request_serializer, response_deserializer)
        )

        async def call(
            request: Any,
            *,
            timeout: float = UNARY_SECONDS,  # noqa: ASYNC109 (gRPC's own parameter)
            metadata: Metadata = (),
        ) -> Any:
            if alone is not None:
                try:
                    return await alone(request, timeout=timeout, metadata=_headers(metadata))
                except grpc.aio.AioRpcError as error:
                    raise error_of(error) from error
            payload = request_serializer(request)
            answer = await self._connection.calls.call(
                method, payload, dict(metadata).get(TICKET_KEY, ""), timeout
            )
            return response_deserializer(answer)

        return call

    def unary_stream(
        self, method: str, request_serializer: Any, response_deserializer: Any, **_: Any
    ) -> Any:
        make = self._begins("unary_stream", method, request_serializer, response_deserializer)

        def call(
            request: Any, *, timeout: float = STREAM_SECONDS, metadata: Metadata = ()
        ) -> AsyncIterator[Any]:
            if not metadata or metadata[-1][0] != TOGETHER_KEY:
                return _responses(make(request, timeout=timeout, metadata=_headers(metadata)))
            *rest, (_, most) = metadata
            return at_once(request, int(most), timeout, tuple(rest))

        async def at_once(
            request: Any, most_bytes: int, seconds: float, metadata: Metadata
        ) -> AsyncIterator[Any]:
            payload = request_serializer(request)
            ticket = dict(metadata).get(TICKET_KEY, "")
            try:
                answers = await self._connection.calls.call_stream(
                    method, payload, ticket, min(seconds, TOGETHER_SECONDS), most_bytes
                )
            except PostroomError as error:
                if error.kind is not Kind.LIMIT_EXCEEDED:
                    raise
                # Longer than was thought: by itself, at the pace of who reads it.
                async for response in call(request, timeout=seconds, metadata=metadata):
                    yield response
            else:
                for answer in answers:
                    yield response_deserializer(answer)

        return call

    def stream_unary(self, method: str, *serializers: Any, **named: Any) -> Any:
        make = self._begins("stream_unary", method, *serializers, **named)

        async def call(
            requests: AsyncGenerator[Any, None],
            *,
            timeout: float = STREAM_SECONDS,  # noqa: ASYNC109
            metadata: Metadata = (),
        ) -> Any:
            """The requests are at rest when this ends, whatever ends it, so that their source can
            be read on by others. A failure is told at the next request.
            """
            made = make(None, timeout=timeout, metadata=_headers(metadata))
            try:
                async with aclosing(requests):
                    await _write_all(made, requests)
                return await made
            except grpc.aio.AioRpcError as error:
                raise error_of(error) from error
            finally:
                made.cancel()

        return call

    def stream_stream(self, method: str, *serializers: Any, **named: Any) -> Any:
        make = self._begins("stream_stream", method, *serializers, **named)

        def call(
            requests: AsyncIterator[Any] | None = None,
            *,
            timeout: float | None = None,
            metadata: Metadata = (),
        ) -> Any:
            """Without requests, grpc's own call object, to be written to and read from."""
            made = make(requests, timeout=timeout, metadata=_headers(metadata))
            return made if requests is None else _responses(made)

        return call


class _Connection:
    """One connection, with the certificate of its time, and what is under way on it."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.grpc = channel
        self.calls = CallStream(channel)
        self._under_way: set[Any] = set()
        self._at_rest = asyncio.Event()

    def hold(self, call: Any) -> Any:
        """Keep the connection until a call has ended."""
        self._under_way.add(call)
        call.add_done_callback(self._release)
        return call

    def _release(self, call: Any) -> None:
        self._under_way.discard(call)
        if not self._under_way:
            self._at_rest.set()

    async def retire(self) -> None:
        """Close it once all has ended. What is told of changes may go on for as long as the other
        end lives: nothing is cut off for a certificate's sake.
        """
        try:
            await self.calls.finish()
            while self._under_way:
                self._at_rest.clear()
                await self._at_rest.wait()
        finally:
            await self.close()

    async def close(self) -> None:
        await self.calls.close()
        await self.grpc.close(None)


def ticketed(ticket: str) -> Metadata:
    """The metadata of a call that acts for a person."""
    return ((TICKET_KEY, ticket),)


def together(metadata: Metadata, most_bytes: int) -> Metadata:
    """The metadata of a stream of answers that is probably short: it comes with other calls'.

    Args:
        most_bytes: from which on it is asked for by itself after all.
    """
    return (*metadata, (TOGETHER_KEY, str(most_bytes)))


def _headers(metadata: Metadata) -> Metadata:
    parent = tracing.traceparent()
    return (*metadata, ("traceparent", parent)) if parent else metadata


async def _write_all(call: Any, requests: AsyncIterator[Any]) -> None:
    """Write the requests up to the end of them or of the call, which then tells why itself.

    grpc's own reader of requests isn't used: it goes on after a refusal, beside whoever goes on.
    """
    async for request in requests:
        if call.done():
            return
        await call.write(request)
    await call.done_writing()


async def _responses(call: Any) -> AsyncIterator[Any]:
    try:
        async for response in call:
            yield response
    except grpc.aio.AioRpcError as error:
        raise error_of(error) from error
    finally:
        call.cancel()


def error_of(error: grpc.aio.AioRpcError) -> PostroomError:
    """The error that the service raised, or what the status says where it raised none."""
    trailers = cast("tuple[tuple[str, str | bytes], ...]", error.trailing_metadata() or ())
    kind = dict(trailers).get(KIND_KEY)
    if isinstance(kind, str) and kind in Kind.__members__:
        return PostroomError(Kind(kind), error.details() or "")
    fallback = KIND_OF_STATUS.get(error.code(), Kind.INTERNAL)
    text = "the service can't be reached" if fallback is Kind.UNAVAILABLE else error.code().name
    return PostroomError(fallback, text)
