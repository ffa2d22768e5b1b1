"""Builds test mails and sends them over SMTP or LMTP with the standard library's client."""

import smtplib

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
