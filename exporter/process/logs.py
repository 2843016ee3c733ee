"""Structured logs on standard error, in logfmt or JSON, one line an event."""

from __future__ import annotations

import logging
import sys
import threading
from types import TracebackType
from typing import Final

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from exporter.base.text import escaped
from exporter.process.lines import Lines

log = structlog.get_logger(__name__)

KEYS_FIRST: Final = ("ts", "level", "msg")
FLUSH_WITHIN: Final = 1.0  # seconds, at exit: the reader may have fallen behind
STANDARD_ERROR: Final = 2


def configure(level: str, form: str) -> Lines:
    """Send what this program and its libraries log to standard error.

    Returns what writes it there, for what else is to be said.
    """
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ExtraAdder(),
        structlog.processors.EventRenamer("msg"),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    lines = Lines(None if sys.stderr is None else STANDARD_ERROR)
    handler = _Handler(lines)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.ExceptionRenderer(),
                _printable if form == "logfmt" else _unchanged,
                _renderer(form),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # What its core would print is left off in `exporter/__init__.py`.
    grpc = logging.getLogger("grpc")
    grpc.handlers, grpc.propagate = [_OnGrpc(logging.INFO)], False
    return lines


class _Handler(logging.Handler):
    """Hands each line on. In the end Python flushes it, as it does with all handlers."""

    def __init__(self, lines: Lines) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """Hand on a line."""
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - a log line must not be the end of anything
            line = self.format(
                logging.makeLogRecord(
                    {
                        "name": record.name,
                        "levelno": record.levelno,
                        "levelname": record.levelname,
                        "msg": "a log line could not be formatted",
                    }
                )
            )
        self._lines.put(line)

    def flush(self) -> None:
        """Wait for a moment until all is written."""
        self._lines.flush(FLUSH_WITHIN)


def take_what_python_prints() -> None:
    """Log warnings, and what nothing catches: each line is of the format that was asked for."""
    logging.captureWarnings(capture=True)
    sys.excepthook = _crashed
    threading.excepthook = _thread_crashed
    sys.unraisablehook = _not_raised


def _crashed(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    #: Report it with the traceback in `exception`.
    log.error("exiting because of a bug", exc_info=(kind, error, traceback))


def _thread_crashed(arguments: threading.ExceptHookArgs) -> None:
    error = arguments.exc_value
    if error is not None:
        log.error(
            #: Report it. The exporter keeps running.
            "a bug was caught in a thread",
            exc_info=(type(error), error, arguments.exc_traceback),
        )


def _not_raised(arguments: sys.UnraisableHookArgs) -> None:
    error = arguments.exc_value
    if error is not None:
        log.error(
            #: Report it. The exporter keeps running.
            "an error could not be raised",
            exc_info=(type(error), error, arguments.exc_traceback),
        )


class _OnGrpc(logging.Handler):
    """Tells at debug that gRPC logged something, and where. Its words may be those of a server."""

    def emit(self, record: logging.LogRecord) -> None:
        kind = record.exc_info[0] if record.exc_info else None
        log.debug(
            "message from gRPC",
            severity=record.levelname.lower(),
            source=f"{record.name}, {record.filename}:{record.lineno}",
            exception_type=kind.__name__ if kind else None,
        )


def _renderer(form: str) -> Processor:
    if form == "json":
        return structlog.processors.JSONRenderer(ensure_ascii=True)
    return structlog.processors.LogfmtRenderer(key_order=KEYS_FIRST, drop_missing=True)


def _unchanged(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return event


def _printable(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Escape what could steer a terminal; the renderer itself escapes what would end the line."""
    for key, value in event.items():
        text = value if isinstance(value, str) else str(value)
        event[key] = "\n".join(map(escaped, text.split("\n")))
    return event
