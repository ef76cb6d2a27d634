"""The serving side of every RPC.

`Server.add` binds an object to a service's descriptor: each RPC to the async method of the same
name, taking `(request, call)`; an RPC without a method, or a service that the table of callers
doesn't know, stops the start. Around each call stands one edge that checks the caller and the
ticket, refuses work whose deadline has passed, measures, and turns errors into statuses:
PostroomError into its own, anything else into INTERNAL with the details in the log alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import status_pb2
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer as AsyncHealthServicer
from grpc_reflection.v1alpha import reflection
from opentelemetry import context as otel_context
from opentelemetry import trace
from prometheus_client import Counter, Histogram

from postroom_chassis import logs, tracing
from postroom_chassis.errors import STATUS, Kind, PostroomError
from postroom_chassis.rpc import multiplex
from postroom_chassis.rpc.callers import CALLERS, SCOPES, caller_of
from postroom_chassis.rpc.progress import Told, untold
from postroom_chassis.settings import Tls
from postroom_chassis.tickets import Ticket, TicketVerifier

log = logs.logger(__name__)

MAX_MESSAGE = 4 * 1024 * 1024  # of a request
# Of an answer: what happened to a million messages of one mailbox, told at once, takes 40 MB.
MAX_ANSWER = 64 * 1024 * 1024
TICKET_KEY = "postroom-ticket"
KIND_KEY = "postroom-error-kind"
DETAILS_KEY = "grpc-status-details-bin"
ERROR_DOMAIN = "postroom"  # of the reason in a google.rpc.ErrorInfo
LEAST_TIME = 0.01  # seconds left below which work isn't begun: the answer would come too late

CALLS = Counter("postroom_rpc_calls_total", "RPCs served", ["method", "caller", "outcome"])
SECONDS = Histogram(
    "postroom_rpc_seconds",
    "How long RPCs took to serve",
    ["method"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30),
)


@dataclass(frozen=True, slots=True)
class Call:
    """What a method may know of the call it serves.

    Attributes:
        caller: the calling service's name.
        deadline: `time.monotonic()` seconds after which nobody waits for the answer, or None.
        verified: the ticket of the person it acts for, where the service needs one.
        progress: tells the caller how far the call has come (done, goal); from any thread.
    """

    caller: str
    deadline: float | None
    verified: Ticket | None = None
    progress: Told = untold

    @property
    def ticket(self) -> Ticket:
        """The ticket. Raises PostroomError UNAUTHENTICATED where the call bears none."""
        if self.verified is None:
            raise PostroomError(Kind.UNAUTHENTICATED, "this call needs a ticket")
        return self.verified


@dataclass(frozen=True, slots=True)
class Method:
    """One RPC as it is served: how to read its request, run it, and write its answer."""

    name: str
    service: str
    descriptor: MethodDescriptor
    behaviour: Callable[[Any, Call], Any]
    request_class: type[Message]
    seconds: Histogram

    @property
    def unary(self) -> bool:
        return not self.descriptor.client_streaming and not self.descriptor.server_streaming


class Server:
    """A gRPC server on one address, with health and reflection.

    Args:
        tls: the service's own certificate; callers must show one from the same authority.
        verifier: checks tickets; None in services that no person's calls reach.
    """

    def __init__(self, tls: Tls, verifier: TicketVerifier | None = None) -> None:
        self._tls = tls
        self._verifier = verifier
        self.methods: dict[str, Method] = {}
        self.draining = asyncio.Event()
        self._health = AsyncHealthServicer()
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", MAX_MESSAGE),
                ("grpc.max_send_message_length", MAX_ANSWER),
                ("grpc.so_reuseport", 0),
                # Idle channels of fronts stay up, and a peer that vanished is noticed.
                ("grpc.keepalive_time_ms", 30_000),
                ("grpc.keepalive_permit_without_calls", 1),
                # Callers are known: none is cut off, with all that is under way, because its pings
                # came late, and so too close together, on a busy machine.
                ("grpc.http2.max_ping_strikes", 0),
            ]
        )
        self.add(multiplex.DESCRIPTOR, multiplex.CallService(self))

    def add(self, descriptor: ServiceDescriptor, implementation: object) -> None:
        """Serve every RPC of a service by the methods of an object."""
        if descriptor.full_name not in CALLERS:
            raise ValueError(f"{descriptor.full_name} is missing in the table of callers")
        handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
        for rpc in descriptor.methods:
            name = f"/{descriptor.full_name}/{rpc.name}"
            method = Method(
                name=name,
                service=descriptor.full_name,
                descriptor=rpc,
                behaviour=getattr(implementation, rpc.name),
                request_class=GetMessageClass(rpc.input_type),
                seconds=SECONDS.labels(name),
            )
            self.methods[method.name] = method
            handlers[rpc.name] = self._handler(method)
        generic = grpc.method_handlers_generic_handler(descriptor.full_name, handlers)
        self._server.add_generic_rpc_handlers((generic,))

    async def start(self, address: str) -> int:
        """Listen on host:port and answer the port. The health service says SERVING from now on."""
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = {method.service for method in self.methods.values()}
        reflection.enable_server_reflection(
            (*names, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server
        )
        try:
            port = self._server.add_secure_port(address, server_credentials(self._tls))
        except RuntimeError as error:
            raise OSError(f"can't listen on {address}: is it taken?") from error
        await self._server.start()
        await self.set_serving(True)
        return port

    async def set_serving(self, serving: bool) -> None:
        status = health_pb2.HealthCheckResponse.ServingStatus
        await self._health.set("", status.SERVING if serving else status.NOT_SERVING)

    async def stop(self, grace: float) -> None:
        """Say NOT_SERVING, take no new calls, let those under way end within `grace` seconds."""
        await self.set_serving(False)
        self.draining.set()
        await self._server.stop(grace)

    def check(
        self,
        method: Method,
        caller: str,
        token: str,
        deadline: float | None,
        progress: Told = untold,
    ) -> Call:
        """What a call may know, once it is known to be permitted. Raises PostroomError."""
        if caller not in CALLERS[method.service]:
            raise PostroomError(
                Kind.DENIED, f"{caller or 'this caller'} may not call {method.name}"
            )
        if deadline is not None and deadline - time.monotonic() < LEAST_TIME:
            raise PostroomError(Kind.DEADLINE, "no time is left for this call")
        scopes = SCOPES.get(method.service)
        if scopes is None:
            return Call(caller, deadline, progress=progress)
        if self._verifier is None:
            raise PostroomError(Kind.INTERNAL, "tickets can't be checked here")
        ticket = self._verifier.verify(token)
        if not scopes & ticket.scopes:
            raise PostroomError(Kind.DENIED, "the ticket is for something else")
        return Call(caller, deadline, ticket, progress)

    def _handler(self, method: Method) -> grpc.RpcMethodHandler[Any, Any]:
        shape = (method.descriptor.client_streaming, method.descriptor.server_streaming)
        edge = self._streaming_edge(method) if shape[1] else self._unary_edge(method)
        make = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, False): grpc.stream_unary_rpc_method_handler,
            (True, True): grpc.stream_stream_rpc_method_handler,
        }[shape]
        return make(
            edge,
            request_deserializer=method.request_class.FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )

    def _admit(self, method: Method, context: grpc.aio.ServicerContext[Any, Any]) -> Call:
        metadata = dict(context.invocation_metadata() or ())
        names = context.auth_context().get("x509_subject_alternative_name", ())
        remaining = context.time_remaining()
        deadline = None if remaining is None else time.monotonic() + remaining
        return self.check(method, caller_of(names), str(metadata.get(TICKET_KEY, "")), deadline)

    def _unary_edge(
        self, method: Method
    ) -> Callable[[Any, grpc.aio.ServicerContext[Any, Any]], Awaitable[Message | None]]:
        async def serve(
            request: Any, context: grpc.aio.ServicerContext[Any, Any]
        ) -> Message | None:
            _follow(context)
            with Watched(method) as watched:
                try:
                    call = self._admit(method, context)
                    watched.caller = call.caller
                    return cast(Message, await method.behaviour(request, call))
                except Exception as error:
                    await _abort(context, watched.fail(error))
            return None

        return serve

    def _streaming_edge(
        self, method: Method
    ) -> Callable[[Any, grpc.aio.ServicerContext[Any, Any]], AsyncIterator[Message]]:
        async def serve(
            request: Any, context: grpc.aio.ServicerContext[Any, Any]
        ) -> AsyncIterator[Message]:
            _follow(context)
            with Watched(method) as watched:
                try:
                    call = self._admit(method, context)
                    watched.caller = call.caller
                    async for response in method.behaviour(request, call):
                        yield response
                except Exception as error:
                    await _abort(context, watched.fail(error))

        return serve

    async def serve_bytes(self, method: Method, payload: bytes, call: Call) -> bytes:
        """Run a unary call whose messages travel as bytes. Raises PostroomError alone."""
        with Watched(method) as watched:
            watched.caller = call.caller
            try:
                request = method.request_class.FromString(payload)
                response: Message = await method.behaviour(request, call)
                return response.SerializeToString()
            except DecodeError as error:
                raise watched.fail(PostroomError(Kind.INVALID, "not the request's type")) from error
            except Exception as error:
                raise watched.fail(error) from error

    async def serve_stream_bytes(
        self, method: Method, payload: bytes, call: Call
    ) -> AsyncGenerator[bytes, None]:
        """Run a call that streams its answers, as bytes. Raises PostroomError alone."""
        with Watched(method) as watched:
            watched.caller = call.caller
            try:
                request = method.request_class.FromString(payload)
                async with aclosing(method.behaviour(request, call)) as responses:
                    async for response in responses:
                        yield response.SerializeToString()
            except DecodeError as error:
                raise watched.fail(PostroomError(Kind.INVALID, "not the request's type")) from error
            except Exception as error:
                raise watched.fail(error) from error


class Watched:
    """Measures a call and classifies what it raised."""

    __slots__ = ("_began", "_method", "_outcome", "_span", "caller")

    def __init__(self, method: Method) -> None:
        self._method = method
        self._outcome = "OK"
        self.caller = ""

    def __enter__(self) -> Watched:
        self._began = time.perf_counter()
        self._span = (
            tracing.tracer.start_span(self._method.name, kind=trace.SpanKind.SERVER)
            if tracing.recording
            else None
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, asyncio.CancelledError):
            self._outcome = "CANCELLED"
        if self._span is not None:
            self._span.end()
        self._method.seconds.observe(time.perf_counter() - self._began)
        _counter(self._method.name, self.caller, self._outcome).inc()

    def fail(self, error: Exception) -> PostroomError:
        """The error that the caller is told."""
        if not isinstance(error, PostroomError):
            log.error("rpc.failed", method=self._method.name, exc_info=error)
            error = PostroomError(Kind.INTERNAL, "something went wrong here")
        self._outcome = error.kind
        return error


@cache
def _counter(method: str, caller: str, outcome: str) -> Counter:
    # Looking a label set up costs as much as the rest of the measuring.
    return CALLS.labels(method, caller, outcome)


def _follow(context: grpc.aio.ServicerContext[Any, Any]) -> None:
    """Make the caller's trace this task's."""
    metadata = dict(context.invocation_metadata() or ())
    if parent := tracing.parse_traceparent(str(metadata.get("traceparent", ""))):
        otel_context.attach(parent)


async def _abort(context: grpc.aio.ServicerContext[Any, Any], error: PostroomError) -> None:
    """Tell an error by its status, its kind, and the rich status that gRPC's tools show."""
    status = status_pb2.Status(code=STATUS[error.kind].value[0], message=error.message)
    status.details.add().Pack(ErrorInfo(reason=error.kind.value, domain=ERROR_DOMAIN))
    trailers = ((KIND_KEY, error.kind.value), (DETAILS_KEY, status.SerializeToString()))
    await context.abort(STATUS[error.kind], error.message, trailing_metadata=trailers)


def server_credentials(tls: Tls) -> grpc.ServerCredentials:
    """Credentials that demand the caller's certificate and follow the files when they change."""
    watched = (tls.certificate, tls.key, tls.authority)
    seen = _times(watched)

    def configuration() -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration(
            [(tls.key.read_bytes(), tls.certificate.read_bytes())],
            root_certificates=tls.authority.read_bytes(),
        )

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        nonlocal seen
        if (now := _times(watched)) == seen:
            return None
        try:
            changed = configuration()
        except OSError as error:
            log.warning("rpc.certificate_unreadable", error=str(error))
            return None
        seen = now
        return changed

    return grpc.dynamic_ssl_server_credentials(
        configuration(),
        fetch,  # type: ignore[arg-type]  # None means unchanged
        require_client_authentication=True,
    )


def _times(files: tuple[Path, ...]) -> Mapping[Path, int]:
    return {file: file.stat().st_mtime_ns for file in files if file.exists()}
