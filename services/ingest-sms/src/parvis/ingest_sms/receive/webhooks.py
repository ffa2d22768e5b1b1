"""Receives Twilio's webhooks over HTTP and answers only after Kafka has acknowledged what they carried."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from fastapi import FastAPI, Request, Response

from parvis.common.contract.errors import Poison, Rejected, Unavailable
from parvis.common.runtime import metrics
from parvis.common.runtime.clock import Clock, now
from parvis.common.runtime.logs import logger
from parvis.common.runtime.rate_limits import RateLimiter
from parvis.ingest_sms.parse.keywords import KeywordMatch
from parvis.ingest_sms.parse.status_callback import parse_status_callback
from parvis.ingest_sms.parse.webhook_form import (
    FormFields,
    InboundMessage,
    find_account_sid,
    find_reply_id,
    is_whatsapp_form,
    parse_form_fields,
    parse_inbound_message,
    parse_webhook_form,
    refuse_status_report,
)
from parvis.ingest_sms.receive.media_jobs import MediaJobs
from parvis.ingest_sms.receive.message_intake import MessageIntake, ReceivedMessage
from parvis.ingest_sms.receive.spool_fallback import SpoolFallback
from parvis.ingest_sms.receive.status_reports import DeliveryReportPublisher
from parvis.ingest_sms.render import twiml
from parvis.ingest_sms.verify.webhook_signature import Forged, SignatureVerifier, SignedRequest

log = logger()
BUDGET_S = 5.0  # Twilio waits 15 s; an early 503 leaves it time for its retry and the fallback
_REASONS = {403: "forged", 429: "too-many"}


class SenderRateExceeded(Rejected):
    """The sender exceeds the rate limit."""


@dataclass(frozen=True)
class TwilioWebhooks:
    """The webhooks for messages, for the fallback and for delivery statuses.

    Gives:  200 with TwiML for a message and 204 for a status, after the blob is stored and Kafka has acknowledged; 200 from the
            fallback with a spool, after the message is on its disk.
            403 without a valid signature, 400 for a malformed form, 429 when a sender exceeds the rate limit, 503 when
            Kafka or the blob store does not answer, or files are still being fetched.
    Retry:  every delivery of one MessageSid gives the same contact id; every delivery of one status the same event id.
    """

    signature_verifier: SignatureVerifier
    accounts: frozenset[str]
    intake: MessageIntake
    media_jobs: MediaJobs
    status_reports: DeliveryReportPublisher
    sender_limiter: RateLimiter
    help_limiter: RateLimiter
    help_texts: Mapping[str, str]
    max_form_bytes: int
    fallback: SpoolFallback | None = None
    clock: Clock = now

    async def receive_message(self, request: Request) -> Response:
        return await self._answer(request, self._accept_message, is_callback=False)

    async def receive_fallback(self, request: Request) -> Response:
        return await self._answer(request, self._spool_message, is_callback=False)

    async def receive_status(self, request: Request) -> Response:
        return await self._answer(request, self._accept_status, is_callback=True)

    async def _answer(
        self, request: Request, work: Callable[[Request], Awaitable[Response]], *, is_callback: bool
    ) -> Response:
        """Do the work within the budget and map errors to HTTP statuses; an error response has no body."""
        try:
            async with asyncio.timeout(BUDGET_S):
                return await work(request)
        except Rejected as error:
            status = 403 if isinstance(error, Forged) else 429 if isinstance(error, SenderRateExceeded) else 400
            _count_refusal(request, _REASONS.get(status, "malformed"), is_callback=is_callback)
            path, reason = request.url.path, str(error)
            if is_callback:
                log.warning("status-callback.refused", path=path, status=status, reason=reason)
            else:
                log.warning("contact.refused", path=path, status=status, reason=reason)
            return Response(status_code=status)
        except (Unavailable, Poison, TimeoutError) as error:
            _count_refusal(request, "unavailable", is_callback=is_callback)
            path, reason = request.url.path, str(error) or "too slow"
            if is_callback:
                log.warning("status-callback.deferred", path=path, status=503, reason=reason)
            else:
                log.warning("intake.deferred", path=path, status=503, reason=reason)
            return Response(status_code=503, headers={"Retry-After": "5"})

    async def _accept_message(self, request: Request) -> Response:
        received = await self._read_message(request)
        message = received.message
        if self.sender_limiter.seconds_until_allowed(message.value("From")):
            raise SenderRateExceeded("the sender exceeds PARVIS_INGEST_SMS_SENDER_PER_MINUTE")
        deadline_s = _remaining_s(received.started_s)
        if message.media:
            keyword = await self.media_jobs.accept(received, deadline_s=deadline_s)
        else:
            keyword = await self.intake.accept(received, patience_s=0, deadline_s=deadline_s)
        metrics.accept_seconds.labels(message.channel).observe(time.monotonic() - received.started_s)
        return Response(self._render_answer(message, keyword), media_type="text/xml")

    def _render_answer(self, message: InboundMessage, keyword: KeywordMatch | None) -> bytes:
        """Reply to HELP only, and at most once in ten minutes, so that two automatic systems cannot answer each other for ever."""
        asks_for_help = keyword is not None and keyword.action == "help" and not keyword.is_answered_by_twilio
        if not keyword or not asks_for_help or self.help_limiter.seconds_until_allowed(message.value("From")):
            return twiml.EMPTY_RESPONSE
        return twiml.render_help_reply(self.help_texts, keyword.language)

    async def _spool_message(self, request: Request) -> Response:
        """With a spool, write the message to this machine's disk, whatever the state of Kafka; without one, accept it as usual."""
        if self.fallback is None:
            return await self._accept_message(request)
        received = await self._read_message(request)
        signature = request.headers.get("X-Twilio-Signature", "")
        await self.fallback.spool_message(received, signature=signature, path=request.url.path)
        return Response(twiml.EMPTY_RESPONSE, media_type="text/xml")

    async def _accept_status(self, request: Request) -> Response:
        reported_at, started_s = self.clock(), time.monotonic()
        _, fields = await self._read_signed_form(request)
        query = parse_qsl(request.scope["query_string"].decode("latin-1"))
        callback = parse_webhook_form(fields, self.accounts)
        report = parse_status_callback(callback, reply_id=find_reply_id(query), reported_at=reported_at)
        await self.status_reports.publish(report, deadline_s=_remaining_s(started_s))
        return Response(status_code=204)

    async def _read_message(self, request: Request) -> ReceivedMessage:
        received_at, started_s = self.clock(), time.monotonic()
        body, fields = await self._read_signed_form(request)
        message = parse_inbound_message(fields, self.accounts)
        refuse_status_report(message)
        return ReceivedMessage(message, body, received_at, started_s=started_s)

    async def _read_signed_form(self, request: Request) -> tuple[bytes, FormFields]:
        """The request's body and fields, once Twilio's signature is verified."""
        body = await _read_body(request, self.max_form_bytes)
        fields = parse_form_fields(body)
        request.state.channel = "whatsapp" if is_whatsapp_form(fields) else "sms"
        signed = SignedRequest(request.scope["raw_path"], request.scope["query_string"], body, fields)
        signature = request.headers.get("X-Twilio-Signature")
        self.signature_verifier.verify(signature, signed, account=find_account_sid(fields))
        return body, fields


def build_routes(webhooks: TwilioWebhooks) -> FastAPI:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    # Starlette's routes: FastAPI's would look for parameters to inject in every one of these, for 0.03 ms.
    app.add_route("/sms", webhooks.receive_message, methods=["POST"])
    app.add_route("/sms/fallback", webhooks.receive_fallback, methods=["POST"])
    app.add_route("/sms/status", webhooks.receive_status, methods=["POST"])
    return app


def _count_refusal(request: Request, why: str, *, is_callback: bool) -> None:
    """A refused status callback is no refused contact: no citizen waits for it."""
    if is_callback:
        metrics.sms_callbacks_refused.labels(why).inc()
    else:
        metrics.contacts_refused.labels(getattr(request.state, "channel", "sms"), why).inc()


def _remaining_s(started_s: float) -> float:
    return BUDGET_S - (time.monotonic() - started_s)


async def _read_body(request: Request, limit_bytes: int) -> bytes:
    """The body, never more of it than the limit: a length can be announced falsely, or not at all."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit_bytes:
            raise Rejected(f"form over {limit_bytes} bytes")
        parts.append(part)
    return b"".join(parts)
