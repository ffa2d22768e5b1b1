"""Encodes events as Kafka records and decodes them: CloudEvents 1.0, binary mode, JSON values. Pure; no I/O."""

import secrets
from datetime import datetime
from functools import cache, lru_cache
from itertools import chain
from typing import Any

import msgspec
from pydantic import BaseModel, ValidationError

from parvis.common.contract.errors import Poison
from parvis.common.contract.event_base import Event, format_instant
from parvis.common.contract.pydantic_to_msgspec import encode_json, json_decoder
from parvis.common.runtime.clock import now

Headers = tuple[tuple[str, bytes], ...]


class Record(msgspec.Struct, frozen=True, gc=False):
    """A record to write: full topic name, key, value and headers, as bytes."""

    topic: str
    key: bytes
    value: bytes
    headers: Headers

    @property
    def size_bytes(self) -> int:
        headers = sum(map(len, chain.from_iterable(self.headers))) + 10 * len(self.headers)
        return len(self.key) + len(self.value) + headers + 100  # 100: the record's and the batch's own fields


class ReceivedRecord(msgspec.Struct, frozen=True, gc=False):
    """A record that was read, with its position."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    headers: Headers

    def header(self, name: str) -> str | None:
        for key, value in self.headers:
            if key == name:
                return value.decode("utf-8", "replace")
        return None

    @property
    def event_id(self) -> str:
        return self.header("ce_id") or ""

    def event(self, types: tuple[type[Event], ...], *, fast_models: tuple[type[Event], ...] = ()) -> Event:
        """Decode the event in the value; one of `fast_models` becomes the struct of its model, with the same attributes.

        Raises: Poison, for a type that is not one of `types`, a wrong version or a value that does not fit;
                the reason names the member, never its value, nor a key that only the sender knows.
        """
        headers = dict(self.headers)
        if not headers.get("ce_specversion", b"1.0").startswith(b"1."):
            raise Poison(f"CloudEvents version {self.header('ce_specversion')!r}")
        kind = _types_by_name(types).get(headers.get("ce_type", b""))
        name = self.header("ce_type") if kind is None else kind.TYPE
        if kind is None:
            raise Poison(f"type {name!r} is not read here")
        if kind in fast_models:
            try:
                return json_decoder(kind)(self.value)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                pass  # the model has the last word
        try:
            return kind.model_validate_json(self.value, by_alias=True, by_name=False)
        except ValidationError as error:
            problem = error.errors(include_input=False, include_url=False)[0]
            known = _member_names(kind)
            path = ".".join(str(part) if part in known or isinstance(part, int) else "…" for part in problem["loc"])
            raise Poison(f"{name} does not fit at {path or 'its beginning'}: {problem['type']}") from None
        except RecursionError:
            raise Poison(f"{name} is nested too deep") from None


class DecodedRecord(msgspec.Struct, frozen=True, gc=False):
    """An event, and the record that carried it."""

    event: Event
    record: ReceivedRecord


def build_record(  # noqa: PLR0913 (the attributes of a CloudEvent)
    event: Event,
    *,
    topic: str,
    key: str,
    event_id: str,
    source: str,
    subject: str | None = None,
    time: datetime | None = None,
    value: bytes | None = None,
    trace: str | None = None,
) -> Record:
    """Build the record that carries an event. `value` replaces the encoded event where bytes must stay untouched."""
    return build_record_of_bytes(
        event.TYPE,
        value if value is not None else encode_event(event),
        topic=topic,
        key=key,
        event_id=event_id,
        source=source,
        subject=subject,
        time=time,
        trace=trace,
    )


def build_record_of_bytes(  # noqa: PLR0913 (the attributes of a CloudEvent)
    event_type: str,
    value: bytes,
    *,
    topic: str,
    key: str,
    event_id: str,
    source: str,
    subject: str | None = None,
    time: datetime | None = None,
    trace: str | None = None,
) -> Record:
    """Build the record that carries the bytes of an event.

    Shape: trace, the W3C trace context of what caused the event; without one a new trace begins.
    """
    encoded_key = key.encode()
    headers = (
        *_constant_headers(event_type, source),
        ("ce_id", event_id.encode()),
        ("ce_time", _encode_instant(time or now())),
        *((("ce_subject", subject.encode()),) if subject is not None else ()),
        ("ce_partitionkey", encoded_key),
        ("ce_traceparent", (trace or new_traceparent()).encode()),
    )
    return Record(topic, encoded_key, value, headers)


@cache
def _constant_headers(kind: str, source: str) -> Headers:
    """The headers that all events of a type and a source have in common."""
    return (
        ("ce_specversion", b"1.0"),
        ("ce_source", b"/parvis/" + source.encode()),
        ("ce_type", kind.encode()),
        ("content-type", b"application/json"),
    )


@lru_cache(maxsize=256)  # the decisions of a batch have one instant
def _encode_instant(time: datetime) -> bytes:
    return format_instant(time).encode()


@cache
def _types_by_name(types: tuple[type[Event], ...]) -> dict[bytes, type[Event]]:
    return {kind.TYPE.encode(): kind for kind in types}


@cache
def _member_names(kind: type[Event]) -> frozenset[str]:
    """The names of all members of an event, at any depth."""
    schema: dict[str, Any] = kind.model_json_schema()
    shapes: list[dict[str, Any]] = [schema, *schema.get("$defs", {}).values()]
    return frozenset(name for shape in shapes for name in shape.get("properties", ()))


def encode_event(event: Event) -> bytes:
    """Encode an event, or its struct, as JSON. Members that are None are left out."""
    if isinstance(event, BaseModel):  # pyright: ignore[reportUnnecessaryIsInstance] (a struct says that it is one)
        return event.model_dump_json(exclude_none=True, by_alias=True).encode()
    return encode_json(event)


def new_traceparent() -> str:
    """Make a new W3C trace context: version 00, random trace and span, sampled."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
