"""Posts signed SMS webhooks to ingest-sms at a steady rate and logs the outcome of each."""

import asyncio
import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import aiohttp
from twilio.request_validator import RequestValidator

from parvis.common.contract.contact import ContactId, make_contact_id
from parvis.local.stack import Stack

TOWN_NUMBER = "+33536490100"
SENDER_TIMEOUT_S = 60.0

Outcome = Literal["ok", "fail", "unknown"]
TEXTS = (
    "Bonjour, il me faut un acte de naissance pour mon passeport.",
    "Il y a un nid-de-poule dangereux rue de l’Église.",
    "Je voudrais inscrire ma fille à la cantine.",
    "A water pipe is leaking in front of my house.",
    "Bonjour, une question sans rapport avec rien.",
)


@dataclass(frozen=True)
class Attempt:
    """One message and the outcome that its sender saw: ok (accepted), fail (refused) or unknown (no answer in time)."""

    contact_id: ContactId
    sender: str
    outcome: Outcome
    sent_at: float
    answered_at: float


class ClientLog:
    """The outcomes that senders saw, in a JSON Lines file outside the system under test."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("a", encoding="utf-8")
        self.attempts: list[Attempt] = []

    def write(self, attempt: Attempt) -> None:
        self._file.write(json.dumps(asdict(attempt)) + "\n")
        self.attempts.append(attempt)

    def close(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


def http_client() -> aiohttp.ClientSession:
    """An aiohttp client: it takes a third of httpx's processor time, which leaves more for the measured services."""
    limits = aiohttp.TCPConnector(limit=400)
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SENDER_TIMEOUT_S), connector=limits)


class SmsLoad:
    """Sends text messages of many citizens by signed webhook to ingest-sms."""

    def __init__(
        self,
        stack: Stack,
        log: ClientLog,
        *,
        senders: int = 200,
        first_sender: int = 0,
        run: str = "run",
        url: str | None = None,
        texts: Sequence[str] = TEXTS,
    ) -> None:
        self._url = f"{url or stack.env['PARVIS_INGEST_SMS_PUBLIC_URL']}/sms"
        self._account = stack.env["PARVIS_INGEST_SMS_TWILIO_ACCOUNT_SID"]
        self._validator = RequestValidator(stack.env["PARVIS_INGEST_SMS_TWILIO_AUTH_TOKEN"])
        self._senders = [f"+336399{80_000 + first_sender + number:05d}" for number in range(senders)]
        self._texts = texts
        self._run = run
        self._log = log
        self.sent = 0

    async def send_at_rate(
        self, *, per_second: float, seconds: float, is_done: Callable[[], bool] = lambda: False
    ) -> None:
        """Send at a steady rate, whatever the answers. Returns when the last request is answered or has timed out."""
        began, first = time.monotonic(), self.sent
        async with http_client() as client, asyncio.TaskGroup() as group:
            while (elapsed := time.monotonic() - began) < seconds and not is_done():
                while self.sent < first + int(elapsed * per_second) + 1:
                    group.create_task(self.send_next(client))
                    await asyncio.sleep(0)  # let the task take its number
                await asyncio.sleep(0.005)

    async def send_next(self, client: aiohttp.ClientSession) -> Attempt:
        """Send a new message of the next citizen."""
        number, self.sent = self.sent, self.sent + 1
        sid = "SM" + hashlib.md5(f"{self._run}{number}".encode(), usedforsecurity=False).hexdigest()
        return await self.post_webhook(client, sid, number)

    async def post_webhook(self, client: aiohttp.ClientSession, sid: str, number: int) -> Attempt:
        """Post one webhook. The same sid is the same message."""
        sender = self._senders[number % len(self._senders)]
        form = {
            "MessageSid": sid,
            "SmsSid": sid,
            "AccountSid": self._account,
            "From": sender,
            "To": TOWN_NUMBER,
            "Body": self._texts[number % len(self._texts)],
            "NumMedia": "0",
            "NumSegments": "1",
            "ApiVersion": "2010-04-01",
        }
        signature = self._validator.compute_signature(self._url, form)
        sent_at = time.time()
        outcome: Outcome
        try:
            headers = {"X-Twilio-Signature": signature}
            async with client.post(self._url, data=form, headers=headers) as answer:
                outcome = "ok" if answer.status == 200 else "fail"
        except aiohttp.ClientConnectorError:
            outcome = "fail"  # nothing was sent
        except (aiohttp.ClientError, TimeoutError):
            outcome = "unknown"
        contact_id = make_contact_id("sms", TOWN_NUMBER, sid)
        attempt = Attempt(contact_id, sender, outcome, sent_at, time.time())
        self._log.write(attempt)
        return attempt
