"""Raw mail in, Mail out: its head by our own reader, its body by the library, in the reading process only. Pure; no I/O."""

from parvis.ingest_email.parse.body import SURPRISES, read_body
from parvis.ingest_email.parse.bounce.reading import read_report
from parvis.ingest_email.parse.headers import Headers, read_headers, thread_of
from parvis.ingest_email.parse.machine import machine_sign
from parvis.ingest_email.tables import Mail, Report


def parse(content: bytes) -> tuple[Mail, list[bytes]]:
    """A mail and the bytes of its attachments, in the same order.

    Raises: never, for whatever bytes; a body that cannot be read is said in `trouble`. It may run out of memory,
            of processor time or of stack: hence the reading process.
    """
    headers = read_headers(content)
    head = parse_head(content)
    report = read_report(content, headers, sign=head.machine)
    head = head.model_copy(update={"report": report, "machine": head.machine or _written_by(report)})
    try:
        found = read_body(content)
    except (*SURPRISES, MemoryError) as error:
        return head.model_copy(update={"trouble": f"damaged mail ({type(error).__name__})"}), []
    kept = found.attachments
    body = {
        "text": found.text,
        "attachments": tuple(attachment for attachment, _ in kept),
        "trouble": next(iter(found.troubles), None),
    }
    return head.model_copy(update=body), [content for _, content in kept]


def _written_by(report: Report | None) -> str | None:
    return "report" if report and report.is_structured else None


def parse_head(content: bytes, *, trouble: str | None = None) -> Mail:
    """What the head alone says, by a reader that is safe anywhere: for a mail whose body ended the reading process."""
    headers = read_headers(content)
    sender, sender_name = headers.address("from")
    return Mail(
        sender=sender,
        sender_name=sender_name,
        reply_to=headers.address("reply-to")[0],
        subject=headers.text("subject", 2000),
        message_id=next(iter(headers.ids("message-id")), ""),
        in_reply_to=thread_of(headers),
        machine=machine_sign(headers),
        authentication=tuple(_authentication(headers)),
        trouble=trouble,
    )


def _authentication(headers: Headers) -> list[str]:
    return [value[:2000] for value in headers.all_raw("authentication-results")[:10]]
