"""Sends mails to the town over SMTP as a citizen's provider does, and retries after a 4xx."""

import asyncio
import itertools
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import aiosmtplib

from parvis.simulators.background import BackgroundTasks
from parvis.simulators.mail import dsn
from parvis.simulators.mail.mail_reader import read_mail
from parvis.simulators.mail.mailboxes import StoredMail
from parvis.simulators.mail.recipients import bounces_later, is_away
from parvis.simulators.settings import Settings

# A real provider tries for days; the demo's visitor and the tests wait for seconds. In all about two minutes.
_PAUSES_S = (0.5, 1, 2, 4, 8, 15, 30, 60)


@dataclass(slots=True)
class SentMail:
    """One mail to the town, and what the town said each time."""

    id: str
    mail_from: str
    recipients: tuple[str, ...]
    content: bytes
    left: tuple[str, ...]
    subject: str
    message_id: str
    taken: bool = False
    state: str = "waiting"
    replies: list[str] = field(default_factory=list[str])
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def settle(self, refused: Mapping[str, tuple[int, str]]) -> None:
        """Note one round: who is left is who was told "later" (a 4xx)."""
        self.replies += [f"{code} {message}" for code, message in refused.values()]
        self.left = tuple(address for address, (code, _) in refused.items() if code < 500)
        if not self.left:
            self.end("accepted" if self.taken else "refused")

    def end(self, state: str) -> None:
        self.state, self.content = state, b""  # a load test sends many: only what is said of them is kept

    def shown(self) -> dict[str, object]:
        return {
            "id": self.id,
            "state": self.state,
            "reply": self.replies[-1] if self.replies else None,
            "replies": self.replies,
            "mail_from": self.mail_from,
            "rcpt_to": list(self.recipients),
            "subject": self.subject,
            "message_id": self.message_id,
            "created_at": self.created_at.isoformat(),
        }


class CitizenSmtpClient:
    """Delivers to the town's ingest-email."""

    def __init__(self, settings: Settings, background: BackgroundTasks) -> None:
        self._settings = settings
        self._background = background
        self._numbers = itertools.count(1)
        self.sent: deque[SentMail] = deque(maxlen=settings.kept)

    async def send(self, mail_from: str, recipients: Sequence[str], content: bytes) -> SentMail:
        """Try once and give the result; further tries, when the town said "later", go on in the background."""
        reading, to = read_mail(content), tuple(recipients)
        sent = SentMail(
            f"out-{next(self._numbers):06d}", mail_from, to, content, to, reading.subject, reading.message_id
        )
        self.sent.append(sent)
        await self._try(sent)
        if sent.state == "waiting":
            self._background.spawn(self._retry(sent))
        return sent

    def report_on(self, mail: StoredMail) -> None:
        """Send the reports and automatic answers that this mail causes; none ever answers a null sender."""
        if mail.mail_from:
            self._background.spawn(self._report(mail))

    async def _report(self, mail: StoredMail) -> None:
        await asyncio.sleep(self._settings.step_ms / 1000)
        failed = [
            dsn.compose_failure_report(to) for to in mail.recipients if bounces_later(to.address) and to.wants_failure
        ]
        arrived = [
            dsn.compose_delivered_report(to)
            for to in mail.recipients
            if not bounces_later(to.address) and to.wants_success
        ]
        for fates in (failed, arrived):
            if fates:
                await self.send("", [mail.mail_from], dsn.compose_report(mail, fates))
        for recipient in mail.recipients:
            if is_away(recipient.address):
                answer = dsn.compose_absence_reply(mail, recipient, reply_to_id=read_mail(mail.content).message_id)
                await self.send("", [mail.mail_from], answer)

    async def _retry(self, sent: SentMail) -> None:
        for pause_s in _PAUSES_S:
            await asyncio.sleep(pause_s)
            await self._try(sent)
            if sent.state != "waiting":
                return
        sent.end("given-up")

    async def _try(self, sent: SentMail) -> None:
        """Offer the mail to those who have not answered for good; what stays open is in `sent.left`."""
        # As between mail providers: STARTTLS when offered, whoever signed the certificate.
        client = aiosmtplib.SMTP(
            hostname=self._settings.town_smtp_host,
            port=self._settings.town_smtp_port,
            local_hostname=dsn.RELAY,
            validate_certs=False,
            timeout=30,
        )
        try:
            async with client:
                refused, reply = await client.sendmail(
                    sent.mail_from, sent.left, sent.content, mail_options=_options(client, sent)
                )
            sent.replies.append(f"250 {reply}")
            sent.taken = True
            sent.settle({address: (answer.code, answer.message) for address, answer in refused.items()})
        except aiosmtplib.SMTPRecipientsRefused as error:
            sent.settle({one.recipient: (one.code, one.message) for one in error.recipients})
        except aiosmtplib.SMTPResponseException as error:
            sent.settle(dict.fromkeys(sent.left, (error.code, error.message)))
        except ValueError:  # an address that SMTP cannot carry
            sent.settle(dict.fromkeys(sent.left, (553, "5.1.3 malformed address")))
        except (aiosmtplib.SMTPException, OSError) as error:
            sent.replies.append(f"no connection: {type(error).__name__}")


def _options(client: aiosmtplib.SMTP, sent: SentMail) -> list[str]:
    eight_bit = not sent.content.isascii() and client.supports_extension("8bitmime")
    unicode_address = not "".join([sent.mail_from, *sent.left]).isascii()
    return ["BODY=8BITMIME"] * eight_bit + ["SMTPUTF8"] * unicode_address
