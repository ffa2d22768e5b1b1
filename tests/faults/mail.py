"""A sender's mail in, the receiver's reply code out; by SMTP or LMTP, with the standard library's client."""

import smtplib

from tests.patience import PATIENCE_S

RECIPIENT = "mairie@example-town.example"
SENDER = "une.personne@citizen.example"


def a_mail(number: int, *, subject: str = "Essai") -> bytes:
    """The same number is the same mail, with its Message-ID."""
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


def send(port: int, content: bytes, *, lmtp: bool = False) -> tuple[int, str]:
    """Hand over one mail. Gives the code and the words of the last reply."""
    client = smtplib.LMTP("127.0.0.1", port) if lmtp else smtplib.SMTP("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        client.sendmail(SENDER, [RECIPIENT], content)
    except smtplib.SMTPDataError as error:
        return error.smtp_code, str(error.smtp_error)
    except smtplib.SMTPRecipientsRefused as error:
        code, said = next(iter(error.recipients.values()))
        return code, said.decode("utf-8", "replace")
    else:
        return 250, ""
    finally:
        client.close()
