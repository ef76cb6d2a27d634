"""Traces that cross services: W3C trace context, OpenTelemetry, exported by OTLP where configured.

Without an endpoint nothing is recorded, but trace ids still exist and travel, so that the logs of
all services about one connection can be found by one id.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

tracer = trace.get_tracer("postroom")
recording = False  # whether spans go anywhere; where not, none is made for a call


def configure(service: str, endpoint: str) -> TracerProvider:
    """Set up the process's tracer; the caller shuts the provider down at the end."""
    # Imported by those who record alone: they take a quarter of a second, which a command that only
    # calls services would spend each time.
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, TraceIdRatioBased

    sampler = ParentBased(TraceIdRatioBased(1.0)) if endpoint else ALWAYS_OFF
    provider = TracerProvider(
        resource=Resource.create({"service.name": f"postroom-{service}"}), sampler=sampler
    )
    if endpoint:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        exporter = OTLPSpanExporter(endpoint=endpoint, insecure=endpoint.startswith("http://"))
        provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    global recording
    recording = bool(endpoint)
    return provider


def traceparent() -> str:
    """The current trace context as a traceparent header (W3C Trace Context section 3.2), or
    nothing.
    """
    context = trace.get_current_span().get_span_context()
    if not context.trace_id:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


@lru_cache(maxsize=4096)  # a connection's calls share one
def parse_traceparent(header: str) -> Context | None:
    """The context that a traceparent header names, or None where it is missing or malformed."""
    fields = header.split("-")
    if len(fields) < 4:
        return None
    try:
        context = SpanContext(
            trace_id=int(fields[1], 16),
            span_id=int(fields[2], 16),
            is_remote=True,
            trace_flags=TraceFlags(int(fields[3], 16)),
        )
    except ValueError:
        return None
    return trace.set_span_in_context(NonRecordingSpan(context)) if context.is_valid else None
