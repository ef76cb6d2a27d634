"""JSON logs: an event name and fields, one line each, on stdout.

Fields that hold for all that a task does (connection id, account) are bound to its context; the
trace id comes from the current span.
"""

from __future__ import annotations

import logging
import sys

import structlog
from opentelemetry import trace
from structlog.types import EventDict, WrappedLogger

# Fields by these names never reach a line, whoever logs them.
SECRET_FIELDS = frozenset(
    {"password", "ticket", "token", "secret", "initial_response", "content", "body"}
)


def configure(service: str, level: str, form: str) -> None:
    """Set up logging for the whole process; foreign loggers (uvicorn, grpc, alembic) join in."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace_id,
        _redact,
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())
    )

    def add_service(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
        event["service"] = service
        return event

    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, add_service, *shared, renderer],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[add_service, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    handler.addFilter(_OnlyForeign())
    plain = logging.StreamHandler(sys.stdout)
    plain.addFilter(_OnlyOurs())
    plain.setFormatter(_Rendered())
    root = logging.getLogger()
    root.handlers = [handler, plain]
    root.setLevel(level)
    for noisy in ("uvicorn.access", "hpack", "httpx", "httpcore", "mail.log", "mail.debug"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger whose methods take an event name and fields."""
    return structlog.stdlib.get_logger(name)


class _OnlyOurs(logging.Filter):
    """Lines that structlog has rendered already."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.name.startswith("postroom")


class _Rendered(logging.Formatter):
    """The line alone: the traceback stands in it, and would come again below it."""

    def format(self, record: logging.LogRecord) -> str:
        return record.getMessage()


class _OnlyForeign(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return not record.name.startswith("postroom")


def _add_trace_id(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    context = trace.get_current_span().get_span_context()
    if context.trace_id:
        event["trace_id"] = f"{context.trace_id:032x}"
    return event


def _redact(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    for field in SECRET_FIELDS & event.keys():
        event[field] = "(redacted)"
    return event
