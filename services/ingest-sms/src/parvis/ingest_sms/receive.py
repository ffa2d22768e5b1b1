"""Twilio's webhooks in over HTTP, contact.received and delivery.reported out; yes only after Kafka has said yes."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl

from fastapi import FastAPI, Request, Response

from parvis.common import metrics
from parvis.common.blobs import Blobs
from parvis.common.bus import Producer, record
from parvis.common.clock import Clock, now
from parvis.common.contact import ContactReceived, kafka_key
from parvis.common.errors import Poison, Rejected, Unavailable
from parvis.common.logs import logger
from parvis.common.topics import CONTACT_RECEIVED, DELIVERY_REPORTED
from parvis.ingest_sms import parse
from parvis.ingest_sms.verify import Forged, Signatures

log = logger()
BUDGET_S = 5.0  # Twilio waits 15 s; a citizen's message should not wait for us to find out that we are down
_FORM = "application/x-www-form-urlencoded"
_TWIML = b'<?xml version="1.0" encoding="UTF-8"?><Response/>'  # says: answer nothing now


@dataclass(frozen=True)
class Door:
    """What the webhooks stand on."""

    signatures: Signatures
    accounts: frozenset[str]
    blobs: Blobs
    producer: Producer
    topic_prefix: str
    hashing_key: bytes
    largest_form_bytes: int
    clock: Clock = now


def routes(door: Door) -> FastAPI:
    """The door's two pages.

    Gives:  200 with an empty TwiML (a message), 204 (a status), after the blob is stored and Kafka has acknowledged.
            403 when it is not signed by Twilio, 400 when it is no form of Twilio's, 503 when Kafka or the blobs do not answer.
    Retry:  any number of deliveries of one MessageSid are one contact id; of one status one event id.
    """
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    @app.post("/sms")
    async def message(request: Request) -> Response:
        return await _answer(request, lambda: _receive(door, request))

    @app.post("/sms/status")
    async def status(request: Request) -> Response:
        return await _answer(request, lambda: _receive_status(door, request))

    _ = message, status
    return app


async def _answer(request: Request, work: Callable[[], Awaitable[Response]]) -> Response:
    """Do the work within the budget, and say in HTTP how it ended; a refusal tells a caller nothing about us."""
    try:
        async with asyncio.timeout(BUDGET_S):
            return await work()
    except Forged as error:
        return _refused(request, 403, str(error))
    except Rejected as error:
        return _refused(request, 400, str(error))
    except (Unavailable, Poison, TimeoutError) as error:
        metrics.contacts_refused.labels("sms", "unavailable").inc()
        log.warning("contact.postponed", path=request.url.path, status=503, reason=str(error) or "too slow")
        return Response(status_code=503, headers={"Retry-After": "5"})


def _refused(request: Request, status: int, reason: str) -> Response:
    metrics.contacts_refused.labels("sms", "forged" if status == 403 else "malformed").inc()
    log.warning("contact.refused", path=request.url.path, status=status, reason=reason)
    return Response(status_code=status)


async def _receive(door: Door, request: Request) -> Response:
    started, received_at = time.monotonic(), door.clock()
    body, told = await _told(door, request)
    original = await door.blobs.put(parse.id_of(told), body, _FORM)
    contact = parse.parse(
        told, original=original, received_at=received_at, recorded_at=door.clock(), hashing_key=door.hashing_key
    )
    await _produce(door, contact, deadline_s=BUDGET_S - (time.monotonic() - started))
    metrics.contacts_received.labels(contact.channel).inc()
    metrics.accept_seconds.labels(contact.channel).observe(time.monotonic() - started)
    log.info(
        "contact.received", contact_id=contact.contact_id, channel=contact.channel, size_bytes=len(body),
        sender_hash=contact.contact_point_hash,
    )  # fmt: skip
    return Response(_TWIML, media_type="text/xml")


async def _produce(door: Door, contact: ContactReceived, *, deadline_s: float) -> None:
    await door.producer.send(
        record(
            contact, topic=CONTACT_RECEIVED.full_name(door.topic_prefix), key=kafka_key(contact),
            event_id=contact.contact_id, source="ingest-sms", subject=contact.contact_id,
        ),
        deadline_s=deadline_s,
    )  # fmt: skip


async def _receive_status(door: Door, request: Request) -> Response:
    started = time.monotonic()
    _, told = await _told(door, request)
    query = parse_qsl(request.scope["query_string"].decode("latin-1"))
    report = parse.parse_status(told, reply=parse.reply_in(query), reported_at=door.clock())
    event_id = f"{report.reply_id}.{report.provider_id}.{report.outcome}"
    await door.producer.send(
        record(
            report, topic=DELIVERY_REPORTED.full_name(door.topic_prefix), key=report.reply_id,
            event_id=event_id, source="ingest-sms", subject=report.reply_id,
        ),
        deadline_s=BUDGET_S - (time.monotonic() - started),
    )  # fmt: skip
    log.info(
        "delivery.reported",
        reply_id=report.reply_id,
        channel=report.channel,
        outcome=report.outcome,
        code=report.detail,
    )
    return Response(status_code=204)


async def _told(door: Door, request: Request) -> tuple[bytes, parse.Announcement]:
    """The body and what it tells of, once Twilio's signature is found good."""
    body = await _read(request, door.largest_form_bytes)
    form = parse.read_form(body)
    door.signatures.check(
        request.headers.get("X-Twilio-Signature"),
        raw_path=request.scope["raw_path"],
        query=request.scope["query_string"],
        form=form,
    )
    return body, parse.announcement(form, door.accounts)


async def _read(request: Request, limit: int) -> bytes:
    """The body, never more of it than the limit: a length can be announced falsely, or not at all."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise Rejected(f"form over {limit} bytes")
        parts.append(part)
    return b"".join(parts)
