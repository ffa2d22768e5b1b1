"""Tests the sandboxed parser: what it survives, and what remains of a mail that ends it."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from parvis.common.contract.errors import Unavailable
from parvis.ingest_email.sandbox.mail_parser_pool import MailParserPool, ParsedFiles, ResourceLimits

A_MAIL = b"From: camille@citizens.example\r\nSubject: Bonjour\r\nAuto-Submitted: auto-replied\r\n\r\nBonjour\r\n"
LIMITS = ResourceLimits(memory_bytes=512 * 1024 * 1024, cpu_s=10, wall_s=30)


@asynccontextmanager
async def readers(limits: ResourceLimits = LIMITS, count: int = 1) -> AsyncGenerator[MailParserPool]:
    made = MailParserPool(count, limits)
    async with made.running():
        yield made


async def the_pid(made: MailParserPool) -> int:
    async with asyncio.timeout(30):
        while not made.pids:
            await asyncio.sleep(0.01)
    return next(iter(made.pids))


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_a_mail_is_read_with_its_files() -> None:
    content = A_MAIL.replace(
        b"\r\n\r\nBonjour",
        b"\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: image/png; name=x.png\r\n\r\n\x89PNG\r\n\x1a\n...",
    )
    async with readers() as made:
        reading = await made.parse(content)
    assert reading.mail.attachments[0].media_type == "image/png"
    assert reading.contents[0].startswith(b"\x89PNG")


async def test_several_mails_at_once_each_get_their_own_reading() -> None:
    async with readers(count=2) as made:
        mails = [A_MAIL.replace(b"Subject: Bonjour", b"Subject: %d" % n) for n in range(50)]
        readings = await asyncio.gather(*map(made.parse, mails))
    assert [reading.mail.subject for reading in readings] == [str(n) for n in range(50)]


async def test_a_small_mail_does_not_wait_for_a_large_one() -> None:
    large = A_MAIL.replace(b"\r\n\r\nBonjour", b"\r\nContent-Type: image/png\r\n\r\n" + b"\x89PNG" * 200_000)
    async with readers() as made:
        await made.parse(large)
        (pid,) = made._large_mail_worker.pids  # pyright: ignore[reportPrivateUsage]
        os.kill(pid, signal.SIGSTOP)
        waiting = asyncio.create_task(made.parse(large))
        await asyncio.sleep(0)  # it has asked
        await made.parse(A_MAIL)
        was_done = waiting.done()
        os.kill(pid, signal.SIGCONT)

        assert not was_done
        assert (await waiting).mail.subject == "Bonjour"


async def test_a_worker_killed_from_outside_costs_no_mail() -> None:
    async with readers() as made:
        await made.parse(A_MAIL)
        pid = await the_pid(made)
        os.kill(pid, signal.SIGKILL)
        reading = await made.parse(A_MAIL)
        assert (reading.mail.text.strip(), reading.mail.trouble) == ("Bonjour", None)
        assert await the_pid(made) != pid


async def test_a_mail_that_takes_too_long_keeps_its_head_and_says_so() -> None:
    async with readers(ResourceLimits(LIMITS.memory_bytes, 10, 1.0)) as made:
        await made.parse(A_MAIL)
        os.kill(await the_pid(made), signal.SIGSTOP)
        reading = await made.parse(A_MAIL)
        assert reading.mail.trouble == "mail parsing took longer than 1 s"
        assert (reading.mail.sender, reading.mail.machine) == ("camille@citizens.example", "auto-replied")
        assert (await made.parse(A_MAIL)).mail.trouble is None


async def test_a_mail_that_needs_more_memory_than_there_is_keeps_its_head() -> None:
    content = A_MAIL + b"x" * 90_000_000
    async with readers(ResourceLimits(256 * 1024 * 1024, 10, 30)) as made:
        reading = await made.parse(content)
        assert reading.mail.trouble == "mail parsing needs more memory than allowed"
        assert reading.mail.sender == "camille@citizens.example"
        assert (await made.parse(A_MAIL)).mail.trouble is None


async def test_a_mail_that_needs_too_much_processor_time_keeps_its_head() -> None:
    # Four seconds' worth of parts, each with the longest head that is read.
    part = b"--b\r\n" + b"a:\r\n" * 9000 + b"\r\n\r\n"
    content = A_MAIL.replace(b"\r\n\r\n", b"\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n") + part * 490
    async with readers(ResourceLimits(4 * 1024 * 1024 * 1024, 1, 60)) as made:
        reading: ParsedFiles = await made.parse(content)
        assert reading.mail.trouble == "mail parsing needs more than 1 s of processor time"


async def test_one_who_goes_away_disturbs_no_other() -> None:
    async with readers() as made:
        waiting = asyncio.ensure_future(made.parse(A_MAIL))
        await asyncio.sleep(0)
        waiting.cancel()
        assert (await made.parse(A_MAIL.replace(b"Bonjour\r\n", b"Bonsoir\r\n"))).mail.text.strip() == "Bonsoir"


async def test_no_process_is_left_behind() -> None:
    async with readers(count=2) as made:
        await asyncio.gather(made.parse(A_MAIL), made.parse(A_MAIL))
        pids = set(made.pids)
    assert pids
    assert all(map(is_gone, pids))


async def test_without_a_worker_the_sender_is_told_to_come_again() -> None:
    async with readers(ResourceLimits(2**70, 10, 5)) as made:  # a limit that no system takes: the worker ends at once
        with pytest.raises(Unavailable):
            await made.parse(A_MAIL)
