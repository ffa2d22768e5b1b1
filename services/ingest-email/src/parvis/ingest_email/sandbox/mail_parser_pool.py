"""Parses mails in a pool of sandboxed processes, and falls back to the header when one of them dies."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from parvis.common.runtime.sandbox.job_limits import ResourceLimits
from parvis.common.runtime.sandbox.pool import SandboxPool, SandboxResult
from parvis.ingest_email.models.parsed_mail import MAX_ATTACHMENTS, ParsedMail
from parvis.ingest_email.parse.mail import parse_head
from parvis.ingest_email.parse.mime.placeholder_detection import add_troubles

__all__ = ["MailParserPool", "ParsedFiles", "ResourceLimits"]
_MAIL, _SCREENING = b"m", b"s"
LARGE_BYTES = 512 * 1024
_SHORT_BYTES = 256 * 1024
_TROUBLES = TypeAdapter(list[str | None])


@dataclass(frozen=True)
class ParsedFiles:
    """A mail, and the bytes of its attachments in the same order."""

    mail: ParsedMail
    contents: tuple[bytes, ...] = ()


class MailParserPool:
    """As many processes as are set, one mail at a time each, and one more for large mails: small ones never wait for these.

    Gives:  a Reading, whatever the bytes: a worker that crashes, is killed or takes too long leaves what it had said, at least what the
            head says, and `trouble`.
    Raises: Unavailable, when no worker starts on this machine now, or none is free in time.
    """

    def __init__(self, count: int, limits: ResourceLimits) -> None:
        self._workers, self._large_mail_worker = (
            SandboxPool(
                "parvis.ingest_email.sandbox.mail_parser_worker",
                task="mail parsing",
                count=workers,
                limits=limits,
                max_answers=MAX_ATTACHMENTS + 2,
            )
            for workers in (count, 1)
        )

    @property
    def pids(self) -> set[int]:
        """Of the processes for small mails."""
        return self._workers.pids

    async def parse(self, content: bytes) -> ParsedFiles:
        workers = self._workers if len(content) <= LARGE_BYTES else self._large_mail_worker
        answer = await workers.run_job((_MAIL, content))
        if answer.frames and len(answer.frames[0][1]) <= _SHORT_BYTES:
            return build_result(content, answer)
        return await asyncio.to_thread(build_result, content, answer)  # megabytes of JSON, or a head of any kind

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Keep the workers while the block lasts; leave it when nobody asks any more."""
        async with self._workers.running(), self._large_mail_worker.running():
            yield


def build_result(content: bytes, answer: SandboxResult) -> ParsedFiles:
    files = tuple(payload for kind, payload in answer.frames[1:] if kind != _SCREENING)
    try:
        mail = ParsedMail.model_validate_json(answer.frames[0][1]) if answer.frames else None
        troubles = next(
            (_TROUBLES.validate_json(payload) for kind, payload in answer.frames if kind == _SCREENING), None
        )
    except ValidationError:
        return ParsedFiles(parse_head(content, trouble="the reading worker answered nonsense"))
    if mail is None:
        return ParsedFiles(parse_head(content, trouble=answer.trouble or "nothing was read"))
    if len(files) < len(mail.attachments):
        # It ended while it handed over the files: those that came are kept, with the words.
        return ParsedFiles(
            mail.model_copy(update={"trouble": answer.trouble, "attachments": mail.attachments[: len(files)]}), files
        )
    if troubles is None:  # it ended while it opened the PDFs
        troubles = [
            answer.trouble if attachment.media_type == "application/pdf" else None for attachment in mail.attachments
        ]
    return ParsedFiles(add_troubles(mail, troubles), files)
