"""Twilio's webhooks in over HTTP, contacts, preferences and delivery reports out; yes only after Kafka has said yes."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from fastapi import FastAPI, Request, Response

from parvis.common.bus.cloudevents import build_record
from parvis.common.contract.errors import Poison, Rejected, Unavailable
from parvis.common.contract.topics import DELIVERY_REPORTED
from parvis.common.runtime import metrics
from parvis.common.runtime.logs import logger
from parvis.common.runtime.rate_limits import RateLimiter
from parvis.ingest_sms import render
from parvis.ingest_sms.parse.form import Announcement, account_in, announcement, read_form, reply_in
from parvis.ingest_sms.parse.order import Told
from parvis.ingest_sms.parse.status import parse_status
from parvis.ingest_sms.receive.fallback import Fallback
from parvis.ingest_sms.receive.intake import Arrived, Intake
from parvis.ingest_sms.receive.pictures import Pictures
from parvis.ingest_sms.verify import Call, Forged, Signatures

log = logger()
BUDGET_S = 5.0  # Twilio waits 15 s; a citizen's message should not wait for us to find out that we are down


class TooMany(Rejected):
    """One sender writes faster than people do."""


@dataclass(frozen=True)
class Door:
    """What the webhooks stand on."""

    signatures: Signatures
    accounts: frozenset[str]
    intake: Intake
    pictures: Pictures
    senders: RateLimiter
    helped: RateLimiter
    help_texts: Mapping[str, str]
    largest_form_bytes: int
    fallback: Fallback | None = None


def routes(door: Door) -> FastAPI:
    """The door's pages.

    Gives:  200 with TwiML (a message), 204 (a status), after the blob is stored and Kafka has acknowledged; from the
            fallback with a spool, after the message is on its disk.
            403 when it is not signed by Twilio, 400 when it is no form of Twilio's, 429 when its sender floods us, 503 when
            Kafka or the blobs do not answer, or files are still being fetched.
    Retry:  any number of deliveries of one MessageSid are one contact id; of one status one event id.
    """
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    async def message(request: Request) -> Response:
        return await _answer(request, lambda: _receive(door, request))

    async def fallback(request: Request) -> Response:
        return await _answer(request, lambda: _keep(door, request))

    async def status(request: Request) -> Response:
        return await _answer(request, lambda: _receive_status(door, request))

    # Starlette's routes: FastAPI's would look for parameters to inject in every one of these, for 0.03 ms.
    app.add_route("/sms", message, methods=["POST"])
    app.add_route("/sms/fallback", fallback, methods=["POST"])
    app.add_route("/sms/status", status, methods=["POST"])
    return app


async def _answer(request: Request, work: Callable[[], Awaitable[Response]]) -> Response:
    """Do the work within the budget, and say in HTTP how it ended; a refusal tells a caller nothing about us."""
    try:
        async with asyncio.timeout(BUDGET_S):
            return await work()
    except Forged as error:
        return _refused(request, 403, str(error))
    except TooMany as error:
        return _refused(request, 429, str(error))
    except Rejected as error:
        return _refused(request, 400, str(error))
    except (Unavailable, Poison, TimeoutError) as error:
        metrics.contacts_refused.labels("sms", "unavailable").inc()
        log.warning("contact.postponed", path=request.url.path, status=503, reason=str(error) or "too slow")
        return Response(status_code=503, headers={"Retry-After": "5"})


def _refused(request: Request, status: int, reason: str) -> Response:
    why = {403: "forged", 429: "too-many"}.get(status, "malformed")
    metrics.contacts_refused.labels("sms", why).inc()
    log.warning("contact.refused", path=request.url.path, status=status, reason=reason)
    return Response(status_code=status)


async def _receive(door: Door, request: Request) -> Response:
    arrived = await _arrived(door, request)
    if door.senders.seconds_until_allowed(arrived.told.value("From")):
        raise TooMany("one sender writes faster than the door lets one through")
    deadline_s = BUDGET_S - (time.monotonic() - arrived.began)
    if arrived.told.media:
        order = await door.pictures.accept(arrived, deadline_s=deadline_s)
    else:
        order = await door.intake.accept(arrived, patience_s=0, deadline_s=deadline_s)
    metrics.accept_seconds.labels("whatsapp" if arrived.told.is_whatsapp else "sms").observe(
        time.monotonic() - arrived.began
    )
    return Response(_twiml(door, arrived.told, order), media_type="text/xml")


def _twiml(door: Door, told: Announcement, order: Told | None) -> bytes:
    """Nothing, but to who asks for help, and not again and again: two machines must not talk to each other here."""
    if (
        order
        and order.order == "help"
        and not order.is_answered
        and not door.helped.seconds_until_allowed(told.value("From"))
    ):
        return render.answer_help(door.help_texts, order.language)
    return render.NOTHING


async def _keep(door: Door, request: Request) -> Response:
    """The fallback: the disk of this machine, where there is a spool, whatever Kafka says; else the door as always."""
    if door.fallback is None:
        return await _receive(door, request)
    arrived = await _arrived(door, request)
    signature = request.headers.get("X-Twilio-Signature", "")
    await door.fallback.keep(arrived, signature=signature, path=request.url.path)
    return Response(render.NOTHING, media_type="text/xml")


async def _receive_status(door: Door, request: Request) -> Response:
    arrived = await _arrived(door, request)
    query = parse_qsl(request.scope["query_string"].decode("latin-1"))
    report = parse_status(arrived.told, reply=reply_in(query), reported_at=arrived.received_at)
    event_id = f"{report.reply_id}.{report.provider_id}.{report.outcome}"
    await door.intake.producer.send(
        build_record(
            report, topic=DELIVERY_REPORTED.full_name(door.intake.topic_prefix), key=report.reply_id,
            event_id=event_id, source="ingest-sms", subject=report.reply_id,
        ),
        deadline_s=BUDGET_S - (time.monotonic() - arrived.began),
    )  # fmt: skip
    log.info(
        "delivery.reported",
        reply_id=report.reply_id,
        channel=report.channel,
        outcome=report.outcome,
        code=report.detail,
    )
    return Response(status_code=204)


async def _arrived(door: Door, request: Request) -> Arrived:
    """The message that the request tells of, once Twilio's signature is found good."""
    received_at = door.intake.clock()
    began = time.monotonic()
    body = await _read(request, door.largest_form_bytes)
    form = read_form(body)
    call = Call(request.scope["raw_path"], request.scope["query_string"], body, form)
    door.signatures.check(request.headers.get("X-Twilio-Signature"), call, account=account_in(form))
    return Arrived(announcement(form, door.accounts), body, received_at, began=began)


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
