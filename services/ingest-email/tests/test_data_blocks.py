"""Facts about how DATA is read: in blocks, whatever its lines look like, with its end found across their borders."""

from typing import Any
from unittest.mock import patch

import pytest

from parvis.ingest_email.receive.smtp_server import SmtpServer

World = Any  # the class in conftest.py, which no test can import
TOWN = "mairie@example-town.example"
HEAD = b"From: a@citizens.example\r\nSubject: x\r\n\r\n"


def original(made: Any) -> bytes:
    (mail,) = [content for content in made.stored() if content.startswith(HEAD)]
    return mail


@pytest.mark.parametrize(
    "line", [b"a.\r\n", b".\r\n", b"..\r\n", b"\r\n", b"a\r\n.b", b"an ordinary line of a mail\r\n"]
)
async def test_the_number_of_reads_depends_on_bytes_alone(world: World, line: bytes) -> None:
    reads, read = 0, SmtpServer._read_block  # pyright: ignore[reportPrivateUsage]

    async def counted(server: SmtpServer) -> bytes:
        nonlocal reads
        reads += 1
        return await read(server)

    content = HEAD + line * (600_000 // len(line)) + b"\r\n"
    with patch.object(SmtpServer, "_read_block", counted):
        async with world.door() as made, world.line(made.smtp_port) as caller:
            assert (await caller.offer(content, TOWN)).startswith("250")
            assert original(made) == content

    assert reads <= len(content) * 3 // 2 // 65536 * 2 + 2  # a stuffed dot for each line at most


@pytest.mark.parametrize("shift", range(-7, 8))
async def test_the_end_is_found_across_the_border_of_two_blocks(world: World, shift: int) -> None:
    content = HEAD + b"x" * (64 * 1024 - len(HEAD) + shift) + b"\r\n"
    async with world.door() as made, world.line(made.smtp_port) as caller:
        assert (await caller.offer(content, TOWN)).startswith("250")
        assert original(made) == content
        assert (await caller.say("NOOP")).startswith("250")


async def test_a_lone_dot_is_an_empty_mail_and_commands_behind_the_end_are_heard(world: World) -> None:
    async with world.door() as made, world.line(made.smtp_port) as caller:
        assert (await caller.offer(b"", TOWN)).startswith("250")
        caller.writer.write(f"MAIL FROM:<a@citizens.example>\r\nRCPT TO:<{TOWN}>\r\nDATA\r\n".encode())
        assert [(await caller.hear())[:3] for _ in range(3)] == ["250", "250", "354"]
        caller.writer.write(HEAD + b"..\r\n\r\n.\r\nNOOP\r\n")
        assert [(await caller.hear())[:3] for _ in range(2)] == ["250", "250"]
        assert original(made) == HEAD + b".\r\n\r\n"
