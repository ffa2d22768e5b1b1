"""Removes personal data from log entries: only known keys pass."""

import sys
import traceback
from collections.abc import MutableMapping
from typing import Any

from parvis.common.contract.errors import ParvisError

# The fixed list of keys. Ids, hashes, counts and codes; never a body, a number, an address or a name.
ALLOWED_KEYS = frozenset(
    [
        "event",
        "level",
        "timestamp",
        "service",
        "logger",
        "exception",
        "stack",
        "contact_id",
        "conversation_id",
        "reply_id",
        "delivery_id",
        "transfer_id",
        "reference",
        "sender_hash",
        "channel",
        "department",
        "rule",
        "kind",
        "state",
        "outcome",
        "procedure",
        "language",
        "media_type",
        "topic",
        "partition",
        "offset",
        "group",
        "records",
        "attempt",
        "sequence",
        "size_bytes",
        "elapsed_ms",
        "wait_s",
        "limit_s",
        "lag",
        "count",
        "total",
        "port",
        "pid",
        "url",
        "file",
        "line",
        "reason",
        "error",
        "code",
        "signal",
        "path",
        "status",
        "provider",
        "provider_id",
        "check",
        "version",
        "host",
        "method",
        "folder",
        "worker",
        "confidence",
        "pages",
    ]
)


def drop_unknown_keys(_logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Keep the known keys; name those that were dropped, so that the mistake is seen and the value is not."""
    unknown = [key for key in entry if key not in ALLOWED_KEYS and not key.startswith("_")]
    for key in unknown:
        del entry[key]
    if unknown:
        entry["reason"] = f"keys not logged: {', '.join(sorted(unknown))}"
    return entry


def format_exception(_logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Format an exception as its type and stack, without its message and source lines: a library may quote the citizen there."""
    exc_info = entry.pop("exc_info", None)
    error = sys.exc_info()[1] if exc_info is True else exc_info[1] if isinstance(exc_info, tuple) else exc_info
    if isinstance(error, BaseException):
        entry["exception"] = "\n".join(line for leaf in flatten_exception_group(error) for line in _describe(leaf))
    return entry


def flatten_exception_group(error: BaseException) -> list[BaseException]:
    """Give the errors in a group, at any depth; for a plain error, itself."""
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for inner in error.exceptions for leaf in flatten_exception_group(inner)]


def _describe(error: BaseException) -> list[str]:
    frames = [f"{f.filename}:{f.lineno} in {f.name}" for f in traceback.extract_tb(error.__traceback__)]
    return [*frames, f"ParvisError: {error}" if isinstance(error, ParvisError) else type(error).__name__]
