"""Facts about the real clamd's verdicts, and what stands for them when it gives none."""

import asyncio
import os
import zipfile
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from io import BytesIO

import pytest

from parvis.common.contract.errors import Misconfigured
from parvis.common.files.antivirus import AntivirusScanner
from parvis.local.clamav import A_VIRUS, PROGRAM, ClamavDaemon, clamd

PATIENCE_S = 60.0  # a busy machine is no dead daemon
needs_clamd = pytest.mark.skipif(not PROGRAM, reason="clamd is not installed: make system")


@pytest.fixture(scope="module")
def daemon() -> Generator[ClamavDaemon]:
    with clamd() as running:
        yield running


def zipped(content: bytes) -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", content)
    return file.getvalue()


@needs_clamd
@pytest.mark.parametrize(
    ("content", "verdict"),
    [
        (b"Bonjour", "clean"),
        (b"", "clean"),
        (os.urandom(3_000_000), "clean"),
        (A_VIRUS, "infected"),
        (zipped(A_VIRUS), "infected"),
        (b"x" * 200_000 + A_VIRUS, "infected"),
        (b"x" * 6_000_000, "pending"),
    ],
    ids=["clean", "empty", "large", "virus", "in-zip", "late", "too-large"],
)
async def test_the_daemon_decides(daemon: ClamavDaemon, content: bytes, verdict: str) -> None:
    assert await AntivirusScanner(daemon.address).scan(content, limit_s=PATIENCE_S) == verdict
    assert await AntivirusScanner(daemon.socket_path).scan(content, limit_s=PATIENCE_S) == verdict


@needs_clamd
async def test_a_file_that_is_too_large_keeps_no_other_from_being_scanned(daemon: ClamavDaemon) -> None:
    scanner = AntivirusScanner(daemon.address)
    assert await scanner.scan(b"x" * 20_000_000, limit_s=PATIENCE_S) == "pending"
    assert await scanner.scan(b"Bonjour", limit_s=PATIENCE_S) == "clean"


@needs_clamd
async def test_many_at_once(daemon: ClamavDaemon) -> None:
    scanner = AntivirusScanner(daemon.address)
    contents = [A_VIRUS if n % 2 else b"Bonjour" for n in range(40)]
    assert await asyncio.gather(*(scanner.scan(c, limit_s=PATIENCE_S) for c in contents)) == ["clean", "infected"] * 20


@needs_clamd
async def test_what_was_pending_is_scanned_when_the_daemon_is_back() -> None:
    now = 1000.0
    with clamd() as own:
        scanner = AntivirusScanner(own.address, clock=lambda: now)
        own.stop()
        assert await scanner.scan(A_VIRUS) == "pending"
        own.start()
        assert await scanner.scan(A_VIRUS) == "pending"  # not asked yet
        now += 5.0
        assert await scanner.scan(A_VIRUS, limit_s=PATIENCE_S) == "infected"
        assert await scanner.scan(b"Bonjour", limit_s=PATIENCE_S) == "clean"


async def test_without_an_address_nothing_is_scanned() -> None:
    assert await AntivirusScanner("").scan(b"Bonjour") == "unscanned"


@pytest.mark.parametrize("address", ["clamav", "clamav:", "clamav:0", ":3310", "clamav:99999", "run/clamd.sock"])
def test_an_address_that_is_none_is_said_at_once(address: str) -> None:
    with pytest.raises(Misconfigured, match="PARVIS_CLAMAV"):
        AntivirusScanner(address)


@asynccontextmanager
async def a_server(reply: bytes | None) -> AsyncGenerator[tuple[str, list[int]]]:
    """Something that listens: it answers at once, or never."""
    asked: list[int] = []
    ending = asyncio.Event()

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(1)
        if reply is None:
            await ending.wait()
        else:
            writer.write(reply)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
    finally:
        ending.set()
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize(
    "reply", [b"", b"stream: OK maybe\0", b"INSTREAM size limit exceeded. ERROR\0", b"\xff" * 9000]
)
async def test_only_a_plain_yes_is_clean(reply: bytes) -> None:
    async with a_server(reply) as (address, _):
        assert await AntivirusScanner(address).scan(b"Bonjour") == "pending"


async def test_a_silent_daemon_costs_one_try_in_five_seconds() -> None:
    now = 1000.0
    async with a_server(None) as (address, asked):
        scanner = AntivirusScanner(address, clock=lambda: now)
        for _ in range(5):
            assert await scanner.scan(b"Bonjour", limit_s=0.2) == "pending"
        assert len(asked) == 1
        now += 5.0
        together = [scanner.scan(b"Bonjour", limit_s=0.2) for _ in range(5)]
        assert set(await asyncio.gather(*together)) == {"pending"}
        assert len(asked) == 2
