"""Builds test mails and sends them over SMTP or LMTP with the standard library's client."""

import smtplib
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.patience import PATIENCE_S

RECIPIENT = "mairie@example-town.example"
SENDER = "une.personne@citizen.example"


def build_mail(number: int, *, subject: str = "Essai") -> bytes:
    """Build a mail. The same number gives the same mail, with the same Message-ID."""
    lines = (
        f"From: {SENDER}",
        f"To: {RECIPIENT}",
        f"Subject: {subject}",
        f"Message-ID: <essai-{number}@citizen.example>",
        "",
        "Bonjour, une question.",
        "",
    )
    return "\r\n".join(lines).encode()


def send_mail(port: int, content: bytes, *, lmtp: bool = False) -> tuple[int, str]:
    """Send one mail. Gives the code and text of the last SMTP reply."""
    client = smtplib.LMTP("127.0.0.1", port) if lmtp else smtplib.SMTP("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        client.sendmail(SENDER, [RECIPIENT], content)
    except smtplib.SMTPDataError as error:
        return error.smtp_code, str(error.smtp_error)
    except smtplib.SMTPRecipientsRefused as error:
        code, text = next(iter(error.recipients.values()))
        return code, text.decode("utf-8", "replace")
    else:
        return 250, ""
    finally:
        client.close()


@dataclass
class SmtpAnswers:
    """The SMTP replies that one kind of sender got, and how long each waited."""

    codes: Counter[int] = field(default_factory=Counter[int])
    ids: set[str] = field(default_factory=set[str])
    waits_s: list[float] = field(default_factory=list[float])

    def send(self, client: smtplib.SMTP, sender: str, content: bytes, *, is_declared: bool = True) -> int:
        began = time.monotonic()
        code, reply = client.mail(sender, [f"SIZE={len(content)}"] if is_declared else [])
        if code == 250:
            client.rcpt(RECIPIENT)
            try:
                code, reply = client.data(content)
            except smtplib.SMTPDataError as error:
                code = error.smtp_code
        if code != 250:
            client.rset()
        self.waits_s.append(time.monotonic() - began)
        self.note(code, reply)
        return code

    def note(self, code: int, reply: bytes) -> None:
        """Count a reply to the end of a mail; 250 names the contact."""
        self.codes[code] += 1
        if code == 250:
            self.ids.add(reply.decode().rpartition(" ")[2])


@contextmanager
def connect(port: int) -> Generator[smtplib.SMTP]:
    """Open a connection of a mail server."""
    client = smtplib.SMTP("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        client.ehlo("mx.example")
        yield client
    finally:
        client.close()
