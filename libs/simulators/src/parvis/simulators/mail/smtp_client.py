"""Sends mails to the town over SMTP as a citizen's provider does, and retries after a 4xx."""

import asyncio
import itertools
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import aiosmtplib

from parvis.simulators.background_tasks import BackgroundTasks
from parvis.simulators.mail import dsn
from parvis.simulators.mail.mailboxes import StoredMail
from parvis.simulators.mail.mime_reader import read_mail
from parvis.simulators.mail.recipients import bounces_later, is_away
from parvis.simulators.settings import Settings

# A real provider retries for days; the demo and the tests need seconds. All retries take about two minutes.
_PAUSES_S = (0.5, 1, 2, 4, 8, 15, 30, 60)


@dataclass(slots=True)
class SentMail:
    """One mail to the town, with the town's replies."""

    id: str
    mail_from: str
    recipients: tuple[str, ...]
    content: bytes
    pending_recipients: tuple[str, ...]
    subject: str
    message_id: str
    is_accepted: bool = False
    state: str = "waiting"
    replies: list[str] = field(default_factory=list[str])
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def record_refusals(self, refused: Mapping[str, tuple[int, str]]) -> None:
        """Record the result of one try: recipients refused with a 4xx are pending."""
        self.replies += [f"{code} {message}" for code, message in refused.values()]
        self.pending_recipients = tuple(address for address, (code, _) in refused.items() if code < 500)
        if not self.pending_recipients:
            self.end("accepted" if self.is_accepted else "refused")

    def end(self, state: str) -> None:
        self.state, self.content = state, b""  # a load test sends many mails: drop the content

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
    """Delivers mails to the town's ingest-email."""

    def __init__(self, settings: Settings, background: BackgroundTasks) -> None:
        self._settings = settings
        self._background = background
        self._numbers = itertools.count(1)
        self.sent: deque[SentMail] = deque(maxlen=settings.kept)

    async def send(self, mail_from: str, recipients: Sequence[str], content: bytes) -> SentMail:
        """Try once and give the result. After a 4xx, further tries follow in the background."""
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
        """Send the DSNs and out-of-office replies that this mail causes; a mail with a null sender causes none."""
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
        """Send the mail to `sent.pending_recipients`; afterwards these are the recipients refused with a 4xx."""
        # As between mail providers: STARTTLS when offered, without checking the certificate.
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
                    sent.mail_from, sent.pending_recipients, sent.content, mail_options=_options(client, sent)
                )
            sent.replies.append(f"250 {reply}")
            sent.is_accepted = True
            sent.record_refusals({address: (answer.code, answer.message) for address, answer in refused.items()})
        except aiosmtplib.SMTPRecipientsRefused as error:
            sent.record_refusals(
                {
                    recipient_error.recipient: (recipient_error.code, recipient_error.message)
                    for recipient_error in error.recipients
                }
            )
        except aiosmtplib.SMTPResponseException as error:
            sent.record_refusals(dict.fromkeys(sent.pending_recipients, (error.code, error.message)))
        except ValueError:  # an address that SMTP cannot encode
            sent.record_refusals(dict.fromkeys(sent.pending_recipients, (553, "5.1.3 malformed address")))
        except (aiosmtplib.SMTPException, OSError) as error:
            sent.replies.append(f"no connection: {type(error).__name__}")


def _options(client: aiosmtplib.SMTP, sent: SentMail) -> list[str]:
    eight_bit = not sent.content.isascii() and client.supports_extension("8bitmime")
    unicode_address = not "".join([sent.mail_from, *sent.pending_recipients]).isascii()
    return ["BODY=8BITMIME"] * eight_bit + ["SMTPUTF8"] * unicode_address
