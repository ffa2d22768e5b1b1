"""Builds the webhooks over a folder of blobs and an in-memory producer, and calls them as Twilio does."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

import httpx
import pytest
from twilio.request_validator import RequestValidator

from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.errors import Unavailable
from parvis.common.contract.preference import PreferenceChanged
from parvis.common.files.antivirus import AntivirusScanner
from parvis.common.files.inspection import FileInspection
from parvis.common.runtime.rate_limits import RateLimiter
from parvis.common.storage.blobs import BlobStore
from parvis.common.testing import A_KEY, FakeProducer
from parvis.ingest_sms.fetch.allowed_hosts import AllowedHosts
from parvis.ingest_sms.fetch.media import MediaFetcher
from parvis.ingest_sms.parse.webhook_form import parse_form_fields
from parvis.ingest_sms.receive.media_jobs import MediaJobs
from parvis.ingest_sms.receive.message_intake import MessageIntake
from parvis.ingest_sms.receive.status_reports import DeliveryReportPublisher
from parvis.ingest_sms.receive.webhooks import TwilioWebhooks, build_routes
from parvis.ingest_sms.verify.webhook_signature import SignatureVerifier

ACCOUNT = "AC" + "0123456789abcdef" * 2
TOKEN = "the town's token, for tests only"
OLD_TOKEN = "the token before, for tests only"
PUBLIC_URL = "https://town.example/hooks"
TOWN_NUMBER, CITIZEN = "+33536490100", "+33639980001"
SAMPLES = Path(__file__).parents[1] / "samples"
REPLY = "9c6d1f0e-5a51-5c5e-8d1f-1f0e5a515c5e"
HELP = {"fr": "Mairie : écrivez-nous.", "en": "Town hall: write to us."}


def sample(name: str) -> bytes:
    return (SAMPLES / f"{name}.form").read_bytes()


def a_form(body: str, sid: str = "SM" + "0" * 32, **more: str) -> bytes:
    form = {"AccountSid": ACCOUNT, "MessageSid": sid, "To": TOWN_NUMBER, "From": CITIZEN, "Body": body, "NumMedia": "0"}
    return urlencode(form | more).encode()


@dataclass
class NoInspection:
    """An inspector without a worker process."""

    async def inspect(self, content: bytes, *, declared: str = "", name: str = "") -> FileInspection:
        raise Unavailable("no worker")


def an_intake(
    folder: Path,
    producer: Any,
    *,
    hosts: AllowedHosts | None = None,
    tokens: Mapping[str, Sequence[str]] | None = None,
    prefix: str = "parvis",
) -> MessageIntake:
    blobs = BlobStore(f"file://{folder}/blobs")
    media = MediaFetcher(
        blobs,
        AntivirusScanner(""),
        cast("Any", NoInspection()),
        hosts or AllowedHosts(()),
        tokens or {ACCOUNT: [TOKEN, OLD_TOKEN]},
    )
    return MessageIntake(blobs, producer, media, prefix, A_KEY)


def some_webhooks(intake: MessageIntake, **changes: Any) -> TwilioWebhooks:
    webhooks = TwilioWebhooks(
        signature_verifier=SignatureVerifier(PUBLIC_URL, {ACCOUNT: [TOKEN, OLD_TOKEN]}),
        accounts=frozenset([ACCOUNT]),
        intake=intake,
        media_jobs=MediaJobs(intake),
        status_reports=DeliveryReportPublisher(intake.producer, intake.topic_prefix),
        sender_limiter=RateLimiter(600, 600),
        help_limiter=RateLimiter(0.1, 1),
        help_texts=HELP,
        max_form_bytes=64 * 1024,
    )
    return replace(webhooks, **changes)


@dataclass
class Twilio:
    """Calls the webhooks as Twilio does."""

    webhooks: TwilioWebhooks
    producer: FakeProducer = field(default_factory=FakeProducer)
    folder: Path = Path()

    async def post(self, body: bytes, *, path: str = "/sms", token: str = TOKEN, **headers: str) -> httpx.Response:
        signature = RequestValidator(token).compute_signature(f"{PUBLIC_URL}{path}", dict(parse_form_fields(body)))
        return await self.post_unsigned(body, path=path, **({"X-Twilio-Signature": signature} | headers))

    async def post_unsigned(self, body: bytes, *, path: str = "/sms", **headers: str) -> httpx.Response:
        transport = httpx.ASGITransport(app=build_routes(self.webhooks))
        async with httpx.AsyncClient(transport=transport, base_url="http://inside:8101") as http:
            return await http.post(path, content=body, headers=headers)

    async def write(self, body: str, sid: str = "SM" + "0" * 32, **more: str) -> httpx.Response:
        return await self.post(a_form(body, sid, **more))

    async def send(self, name: str, **more: Any) -> httpx.Response:
        """Send one of the samples."""
        return await self.post(sample(name), **more)

    def stored(self) -> list[bytes]:
        return [file.read_bytes() for file in sorted((self.folder / "blobs").glob("[!.]*/*"))]

    def contacts(self) -> list[ContactReceived]:
        return [
            ContactReceived.model_validate_json(r.value)
            for r in self.producer.sent
            if r.topic.endswith("contact.received")
        ]

    def preferences(self) -> list[PreferenceChanged]:
        return [
            PreferenceChanged.model_validate_json(r.value)
            for r in self.producer.sent
            if r.topic.endswith("preference.changed")
        ]


@pytest.fixture
def twilio(tmp_path: Path) -> Twilio:
    producer = FakeProducer()
    return Twilio(some_webhooks(an_intake(tmp_path, producer)), producer, tmp_path)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Twilio]:
    """Build webhooks with other parts, of the intake (`hosts`, `tokens`, `prefix`, `producer`) or of their own."""

    def build(*, producer: Any = None, **changes: Any) -> Twilio:
        producer = producer or FakeProducer()
        of_intake = {name: changes.pop(name) for name in ("hosts", "tokens", "prefix") if name in changes}
        return Twilio(some_webhooks(an_intake(tmp_path, producer, **of_intake), **changes), producer, tmp_path)

    return build
