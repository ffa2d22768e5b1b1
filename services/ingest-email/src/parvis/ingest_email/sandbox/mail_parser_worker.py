"""Serves parse requests inside the sandboxed process, which has limits and no secrets."""

import json
from collections.abc import Iterable

from parvis.common.files.unreadable_pdf import screen_pdf
from parvis.common.runtime.sandbox.child import serve
from parvis.common.runtime.sandbox.pipe_protocol import Frame
from parvis.ingest_email.parse.mail import parse_mail

MAIL, FILE, SCREENING = b"m", b"f", b"s"
_A_MAIL = b"From: <a@b.example>\nContent-Type: text/html\n\n<p>warm</p>"


def parse_job(job: list[Frame]) -> Iterable[Frame]:
    """A mail's bytes in one frame; the mail as JSON, then each of its files, and last what was found in its PDFs.

    PDFs are opened when all the others have their frames: one that ends this process costs no words of the mail.
    """
    mail, contents = parse_mail(job[0][1])
    yield MAIL, mail.model_dump_json().encode()
    for content in contents:
        yield FILE, content
    types = (attachment.media_type for attachment in mail.attachments)
    yield SCREENING, json.dumps([screen_pdf(*file) for file in zip(contents, types, strict=True)]).encode()


def _warm_up() -> None:
    parse_mail(_A_MAIL)


if __name__ == "__main__":
    serve(parse_job, warm=_warm_up)
