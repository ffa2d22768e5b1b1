"""Tests that a mail whose matter is in a closed PDF is unreadable with its reason, and that PDFs cost no words of their mail."""

import base64

import pytest
from libs.common.tests.files.test_unreadable_pdf import ENCRYPTED, pdf

from parvis.common.runtime.sandbox.pool import SandboxResult
from parvis.ingest_email.parse.mail import parse_mail
from parvis.ingest_email.sandbox.mail_parser_pool import MailParserPool, ParsedFiles, ResourceLimits, build_result

COVER = pdf("Please wait... Your viewer cannot display this form. You must upgrade to a newer version of Adobe Reader.")
LIMITS = ResourceLimits(memory_bytes=512 * 1024 * 1024, cpu_s=10, wall_s=30)
LONG = "Bonjour, la lampe devant le 12 de la rue Haute est cassée depuis lundi soir. " * 3


def a_mail(text: str, content: bytes) -> bytes:
    head = "From: camille@citizens.example\r\nSubject: Demande\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    parts = f"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n--b\r\nContent-Type: application/pdf\r\n"
    encoded = base64.encodebytes(content).decode().replace("\n", "\r\n")
    return f"{head}{parts}Content-Transfer-Encoding: base64\r\n\r\n{encoded}--b--\r\n".encode()


async def parse(content: bytes) -> ParsedFiles:
    readers = MailParserPool(1, LIMITS)
    async with readers.running():
        return await readers.parse(content)


@pytest.mark.parametrize(("content", "reason"), [(ENCRYPTED, "encrypted PDF"), (COVER, "cover page")])
@pytest.mark.parametrize("text", ["", "Bonjour, ci-joint mon dossier."])
async def test_a_mail_that_says_little_beside_a_closed_pdf_is_unreadable(
    content: bytes, reason: str, text: str
) -> None:
    read = await parse(a_mail(text, content))

    assert reason in (read.mail.trouble or "")
    assert reason in (read.mail.attachments[0].trouble or "")
    assert read.contents == (content,)
    assert read.mail.text.strip() == text


async def test_a_letter_in_the_mail_itself_is_readable_and_its_closed_pdf_is_marked() -> None:
    read = await parse(a_mail(LONG, ENCRYPTED))
    assert (read.mail.trouble, read.mail.attachments[0].trouble) == (None, "encrypted PDF")


async def test_an_open_pdf_is_nothing_to_remark() -> None:
    read = await parse(a_mail("", pdf()))
    assert (read.mail.trouble, read.mail.attachments[0].trouble) == (None, None)


def test_a_pdf_that_ends_the_process_costs_no_word_of_its_mail() -> None:
    mail, contents = parse_mail(a_mail(LONG, pdf()))
    frames = ((b"m", mail.model_dump_json().encode()), *((b"f", content) for content in contents))

    read = build_result(b"", SandboxResult(frames, "the mail parsing worker stopped (SIGSEGV)"))

    assert (read.mail.text, read.mail.trouble, read.contents) == (mail.text, None, tuple(contents))
    assert read.mail.attachments[0].trouble == "the mail parsing worker stopped (SIGSEGV)"
