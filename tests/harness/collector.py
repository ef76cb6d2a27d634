"""A collector of traces: takes what services export by OTLP, and keeps it for tests to look at."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans

WAIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Span:
    """One span; ids are in hexadecimal, and `parent` is empty at the root of a trace."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent: str


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """The TraceService of OTLP.

    Attributes:
        endpoint: what a service's OTLP_ENDPOINT must be.
    """

    def __init__(self) -> None:
        self.endpoint = ""
        self._spans: list[Span] = []
        self._news = threading.Condition()

    def Export(
        self,
        request: trace_service_pb2.ExportTraceServiceRequest,
        context: grpc.ServicerContext,
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        with self._news:
            for resource in request.resource_spans:
                self._spans += _spans_of(resource)
            self._news.notify_all()
        return trace_service_pb2.ExportTraceServiceResponse()

    def trace(self, trace_id: str, complete: Callable[[list[Span]], bool]) -> list[Span]:
        """The spans of a trace as soon as they are complete, or those that came in a minute."""

        def found() -> list[Span]:
            return [span for span in self._spans if span.trace_id == trace_id]

        with self._news:
            self._news.wait_for(lambda: complete(found()), WAIT_SECONDS)
            return found()


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on a free port of loopback, until the context ends."""
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(4))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(  # type: ignore[no-untyped-call]
        collector, server
    )
    port = server.add_insecure_port("127.0.0.1:0")
    collector.endpoint = f"http://127.0.0.1:{port}"
    server.start()
    try:
        yield collector
    finally:
        server.stop(None).wait()


def _spans_of(resource: ResourceSpans) -> list[Span]:
    attributes = {each.key: each.value.string_value for each in resource.resource.attributes}
    return [
        Span(
            attributes["service.name"],
            span.name,
            span.trace_id.hex(),
            span.span_id.hex(),
            span.parent_span_id.hex(),
        )
        for scope in resource.scope_spans
        for span in scope.spans
    ]
