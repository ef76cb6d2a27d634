"""Calls over one long-lived stream (postroom.rpc.v1.CallService), both ends.

A gRPC call costs about 0.65 ms and a message on an open stream 0.3; and what several callers say in
one turn of the loop leaves as one message. So load makes messages rarer, not slower.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from opentelemetry import context as otel_context
from postroom.rpc.v1 import call_pb2, call_pb2_grpc

from postroom_chassis import logs, tracing
from postroom_chassis.errors import KIND_OF_STATUS, STATUS, Kind, PostroomError
from postroom_chassis.rpc import progress
from postroom_chassis.rpc.progress import Told, untold

if TYPE_CHECKING:
    from postroom_chassis.rpc.server import Call, Method, Server

log = logs.logger(__name__)
T = TypeVar("T")

DESCRIPTOR: ServiceDescriptor = call_pb2.DESCRIPTOR.services_by_name["CallService"]
BATCH_BYTES = 1024 * 1024
WAITING_BYTES = 4 * 1024 * 1024  # from which on streams of answers wait
# What is larger is refused by itself: sent, it would break the stream for everybody on it.
MOST_REQUEST_BYTES = 4 * 1024 * 1024 - 64 * 1024
MOST_ANSWER_BYTES = 63 * 1024 * 1024
CALLS_UNDER_WAY = 1024  # per stream; a caller that goes beyond waits
OVERDUE_SECONDS = 1.0  # between looks at what has passed its deadline
RECONNECT_SECONDS = 0.1
KIND_OF_CODE = {status.value[0]: kind for status, kind in KIND_OF_STATUS.items()}


class CallService:
    """The serving end: runs each call like one that came by itself."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def Calls(
        self, requests: AsyncIterator[call_pb2.CallsRequest], call: Call
    ) -> AsyncIterator[call_pb2.CallsResponse]:
        """Serve calls until the caller closes the stream; replies leave as they are ready."""
        stream = _ServedStream(self._server, call.caller)
        receiver = asyncio.create_task(stream.receive(requests))
        tasks = [
            receiver,
            asyncio.create_task(stream.end_overdue()),
            asyncio.create_task(stream.drain(receiver)),
        ]
        try:
            while batch := await stream.replies.take():
                yield call_pb2.CallsResponse(replies=batch)
        finally:
            for task in (*tasks, *stream.tasks):
                task.cancel()


@dataclass(slots=True)
class _Running:
    task: asyncio.Task[None]
    deadline: float | None


class _ServedStream:
    """The calls of one caller's stream.

    Attributes:
        replies: what is to be sent.
    """

    def __init__(self, server: Server, caller: str) -> None:
        self._server = server
        self._caller = caller
        self._running: dict[int, _Running] = {}
        self.replies = _Outbox[call_pb2.Reply]()

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        return [each.task for each in self._running.values()]

    async def receive(self, requests: AsyncIterator[call_pb2.CallsRequest]) -> None:
        """Begin the calls that come; end the stream when the caller does and all are answered."""
        async for request in requests:
            for incoming in request.calls:
                if incoming.cancel:
                    if given_up := self._running.pop(incoming.id, None):
                        given_up.task.cancel()
                    continue
                while len(self._running) >= CALLS_UNDER_WAY:
                    await asyncio.wait(self.tasks, return_when=asyncio.FIRST_COMPLETED)
                timeout = incoming.timeout_ms
                deadline = time.monotonic() + timeout / 1000 if timeout else None
                task = asyncio.create_task(self._serve(incoming, deadline))
                self._running[incoming.id] = _Running(task, deadline)
        await self._finish()

    async def drain(self, receiver: asyncio.Task[None]) -> None:
        """When the server stops: read no more, answer what was begun, end the stream."""
        await self._server.draining.wait()
        receiver.cancel()
        await self._finish()

    async def end_overdue(self) -> None:
        """End calls whose caller has given up; looked at together, as a timer a call costs more."""
        while True:
            await asyncio.sleep(OVERDUE_SECONDS)
            now = time.monotonic()
            late = [k for k, each in self._running.items() if each.deadline and each.deadline < now]
            for key in late:
                self._running.pop(key).task.cancel()
                overdue = PostroomError(Kind.DEADLINE, "the call took too long")
                self.replies.put(_failure(key, overdue), 0)

    async def _finish(self) -> None:
        if self._running:
            await asyncio.wait(self.tasks)
        self.replies.close()

    async def _serve(self, incoming: call_pb2.Call, deadline: float | None) -> None:
        try:
            method = self._server.methods.get(incoming.method)
            if method is None or method.descriptor.client_streaming:
                raise PostroomError(Kind.UNSUPPORTED, f"no method {incoming.method} of one request")
            told = self._progress(incoming.id) if incoming.progress else untold
            call = self._server.check(method, self._caller, incoming.ticket, deadline, told)
            if parent := tracing.parse_traceparent(incoming.traceparent):
                otel_context.attach(parent)
            if method.unary:
                answer = await self._server.serve_bytes(method, incoming.request, call)
                self._reply(incoming.id, answer)
            else:
                await self._serve_stream(method, incoming, call)
        except PostroomError as error:
            self.replies.put(_failure(incoming.id, error), 0)
        finally:
            self._running.pop(incoming.id, None)

    def _progress(self, key: int) -> Told:
        """What tells how far a call has come, as long as it is under way; from any thread."""
        loop = asyncio.get_running_loop()

        def put(done: int, goal: int) -> None:
            if key in self._running and done < goal:
                reply = call_pb2.Reply(id=key)
                reply.progress.done, reply.progress.goal = done, goal
                self.replies.put(reply, 0)

        def tell(done: int, goal: int) -> None:
            with suppress(RuntimeError):  # the loop has ended: nobody waits
                loop.call_soon_threadsafe(put, done, goal)

        return tell

    async def _serve_stream(self, method: Method, incoming: call_pb2.Call, call: Call) -> None:
        total = 0
        answers = self._server.serve_stream_bytes(method, incoming.request, call)
        async with aclosing(answers):
            # One is held back, to be marked as the last.
            last: bytes | None = None
            async for answer in answers:
                total += len(answer)
                if incoming.most_bytes and total > incoming.most_bytes:
                    raise PostroomError(Kind.LIMIT_EXCEEDED, "the answers are too long together")
                if last is not None:
                    self._reply(incoming.id, last, more=True)
                    await self.replies.has_room()
                last = answer
        self._reply(incoming.id, last)

    def _reply(self, key: int, answer: bytes | None, *, more: bool = False) -> None:
        if answer is None:
            self.replies.put(call_pb2.Reply(id=key), 0)
            return
        if len(answer) > MOST_ANSWER_BYTES:
            raise PostroomError(Kind.LIMIT_EXCEEDED, "the answer is too long to be sent")
        self.replies.put(call_pb2.Reply(id=key, response=answer, more=more), len(answer))


def _failure(key: int, error: PostroomError) -> call_pb2.Reply:
    reply = call_pb2.Reply(id=key)
    reply.failure.code = STATUS[error.kind].value[0]
    reply.failure.kind = error.kind
    reply.failure.message = error.message
    return reply


@dataclass(slots=True)
class _Waiting:
    answers: list[bytes]
    end: asyncio.Future[None]
    told: Told | None


class CallStream:
    """The calling end: one stream to one service, made anew when it breaks.

    Args:
        channel: the gRPC channel that the stream rides.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = call_pb2_grpc.CallServiceStub(channel)
        # Without requests the call is written to by hand.
        self._open = cast(Callable[[], Any], self._stub.Calls)
        self._ids = itertools.count(1)
        self._waiting: dict[int, _Waiting] = {}
        self._outbox = _Outbox[call_pb2.Call]()
        self._runner: asyncio.Task[None] | None = None

    async def call(self, method: str, request: bytes, ticket: str, seconds: float) -> bytes:
        """The serialised answer to a serialised request.

        Raises:
            PostroomError: what the service raised; LIMIT_EXCEEDED; DEADLINE; UNAVAILABLE when the
                stream broke: the outcome is unknown.
        """
        (answer,) = await self.call_stream(method, request, ticket, seconds)
        return answer

    async def call_stream(
        self, method: str, request: bytes, ticket: str, seconds: float, most_bytes: int = 0
    ) -> list[bytes]:
        """The serialised answers, once all are there, of a method that streams them.

        Args:
            most_bytes: of all together; 0 for no limit.

        Raises PostroomError: as `call` does.
        """
        if len(request) > MOST_REQUEST_BYTES:
            raise PostroomError(Kind.LIMIT_EXCEEDED, "the request is too long to be sent")
        if self._runner is None:
            self._runner = asyncio.create_task(self._run())
        key = next(self._ids)
        loop = asyncio.get_running_loop()
        waiting = self._waiting[key] = _Waiting([], loop.create_future(), progress.listener())
        call = call_pb2.Call(
            id=key,
            method=method,
            request=request,
            ticket=ticket,
            timeout_ms=int(seconds * 1000),
            traceparent=tracing.traceparent(),
            most_bytes=most_bytes,
            progress=waiting.told is not None,
        )
        self._outbox.put(call, len(request) + len(ticket))
        overdue = loop.call_later(seconds, _expire, waiting.end, seconds)
        settled = False
        try:
            await waiting.end
            settled = True
            return waiting.answers
        except PostroomError as error:
            settled = error.kind is not Kind.DEADLINE
            raise
        finally:
            overdue.cancel()
            del self._waiting[key]
            if not settled:
                self._outbox.put(call_pb2.Call(id=key, cancel=True), 0)

    async def finish(self) -> None:
        """Wait until everything that was asked is answered; nothing more may be asked."""
        while self._waiting:
            await asyncio.wait([waiting.end for waiting in self._waiting.values()])

    async def close(self) -> None:
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.gather(self._runner, return_exceptions=True)
        self._fail(PostroomError(Kind.UNAVAILABLE, "the channel is closed"))

    async def _run(self) -> None:
        while True:
            stream = self._open()
            sender = asyncio.create_task(self._send(stream))
            failure = PostroomError(Kind.UNAVAILABLE, "the service can't be reached")
            try:
                async for response in stream:
                    for reply in response.replies:
                        self._settle(reply)
            except grpc.aio.AioRpcError as error:
                log.info("rpc.stream_lost", code=error.code().name)
                if error.code() is grpc.StatusCode.PERMISSION_DENIED:
                    failure = PostroomError(Kind.DENIED, error.details() or "not permitted")
            except Exception:
                # Without this task no call would ever be answered again.
                log.exception("rpc.stream_failed")
            finally:
                sender.cancel()
                stream.cancel()
            self._fail(failure)
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _send(self, stream: Any) -> None:
        while batch := await self._outbox.take():
            await stream.write(call_pb2.CallsRequest(calls=batch))

    def _settle(self, reply: call_pb2.Reply) -> None:
        waiting = self._waiting.get(reply.id)
        if waiting is None or waiting.end.done():
            return
        outcome = reply.WhichOneof("outcome")
        if outcome == "progress":
            if waiting.told is not None:
                waiting.told(reply.progress.done, reply.progress.goal)
            return
        if outcome == "failure":
            waiting.end.set_exception(PostroomError(_kind(reply.failure), reply.failure.message))
            return
        if outcome == "response":
            waiting.answers.append(reply.response)
        if not reply.more:
            waiting.end.set_result(None)

    def _fail(self, failure: PostroomError) -> None:
        self._outbox.clear()
        for waiting in self._waiting.values():
            if not waiting.end.done():
                waiting.end.set_exception(PostroomError(failure.kind, failure.message))


def _kind(failure: call_pb2.Failure) -> Kind:
    """The kind of a failure; of one that a newer service has and we don't, what its code says."""
    if failure.kind in Kind.__members__:
        return Kind(failure.kind)
    return KIND_OF_CODE.get(failure.code, Kind.INTERNAL)


def _expire(end: asyncio.Future[None], seconds: float) -> None:
    if not end.done():
        end.set_exception(PostroomError(Kind.DEADLINE, f"no answer in {seconds:g} seconds"))


class _Outbox(Generic[T]):
    """What waits to be sent, taken in batches of bounded size."""

    def __init__(self) -> None:
        self._items: list[T] = []
        self._sizes: list[int] = []
        self._bytes = 0
        self._ready = asyncio.Event()
        self._room = asyncio.Event()
        self._closed = False

    def put(self, item: T, size: int) -> None:
        self._items.append(item)
        self._sizes.append(size)
        self._bytes += size
        self._ready.set()

    async def has_room(self) -> None:
        """Wait until not too much waits to be sent."""
        while self._bytes > WAITING_BYTES:
            self._room.clear()
            await self._room.wait()

    def close(self) -> None:
        """Nothing more will be put; `take` answers an empty batch once all is taken."""
        self._closed = True
        self._ready.set()

    def clear(self) -> None:
        self._items.clear()
        self._sizes.clear()
        self._bytes = 0

    async def take(self) -> list[T]:
        """All that waits, up to a size; waits for the first item."""
        while not self._items:
            if self._closed:
                return []
            self._ready.clear()
            await self._ready.wait()
        self._room.set()
        if self._bytes <= BATCH_BYTES:
            batch = self._items
            self._items, self._sizes, self._bytes = [], [], 0
            return batch
        total = count = 0
        for size in self._sizes:
            if count and total + size > BATCH_BYTES:
                break
            total += size
            count += 1
        batch = self._items[:count]
        del self._items[:count], self._sizes[:count]
        self._bytes -= total
        return batch
