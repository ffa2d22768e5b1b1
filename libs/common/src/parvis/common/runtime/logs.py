"""Configures logging: one line per event on standard output, as JSON for machines or in colours for people."""

import logging
import sys
from typing import Any

import structlog

from parvis.common.runtime.redaction import drop_unknown_keys, format_exception

# Libraries that would write addresses or bodies at lower levels, or say what we say better.
_QUIET = (
    "aiosmtpd",
    "mail.log",
    "uvicorn",
    "uvicorn.access",
    "uvicorn.error",
    "aiokafka",
    "asyncio",
    "twilio",
    "httpx",
    "alembic",
)


def logger() -> Any:
    """Give the logger of this process. Events are constants: `noun.past_verb`."""
    return structlog.get_logger()


def configure(service: str, *, level: str = "info", format: str = "json") -> None:  # noqa: A002 (the setting's own name)
    """Send our events and the libraries' warnings to standard output, without personal data."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        format_exception,
        drop_unknown_keys,
    ]
    renderer: Any = structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())
    if format == "json":
        renderer = structlog.processors.JSONRenderer(ensure_ascii=False)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stdout),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_library_event, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.root
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)  # noqa: TID251 (this is the one place)
    # Thirty lines a second while a broker is away; /ready and `consumer.paused` say it once.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # noqa: TID251


def _library_event(_logger: Any, _method: str, entry: Any) -> Any:
    """A library's sentence becomes `library.warned` with its text as the reason: grep finds it, rules do not."""
    record = entry.get("_record")
    entry["logger"] = record.name if record else ""
    entry["reason"], entry["event"] = str(entry.get("event", "")), "library.warned"
    return entry
