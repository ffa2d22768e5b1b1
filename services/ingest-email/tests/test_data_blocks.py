"""Facts about how DATA is read: in blocks, whatever its lines look like, with its end found across their borders."""

import threading
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parvis.ingest_email.receive import mail_acceptance, smtp_server
from parvis.ingest_email.receive.smtp_server import SmtpSession
from parvis.ingest_email.sandbox import mail_parser_pool

World = Any  # the class in conftest.py, which no test can import
LIMIT_BYTES = 1024 * 1024  # of the door in conftest.py
TOWN = "mairie@example-town.example"
HEAD = b"From: a@citizens.example\r\nSubject: x\r\n\r\n"


def original(made: Any) -> bytes:
    (mail,) = [content for content in made.stored() if content.startswith(HEAD)]
    return mail


@pytest.mark.parametrize(
    "line", [b"a.\r\n", b".\r\n", b"..\r\n", b"\r\n", b"a\r\n.b", b"an ordinary line of a mail\r\n"]
)
async def test_the_number_of_reads_depends_on_bytes_alone(world: World, line: bytes) -> None:
    reads, read = 0, SmtpSession._read_block  # pyright: ignore[reportPrivateUsage]

    async def counted(server: SmtpSession) -> bytes:
        nonlocal reads
        reads += 1
        return await read(server)

    content = HEAD + line * (600_000 // len(line)) + b"\r\n"
    with patch.object(SmtpSession, "_read_block", counted):
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


@given(st.lists(st.sampled_from([b"\r", b"\n", b".", b"\r\n", b"\r\n.", b"a"]), max_size=30), st.integers(1, 9))
def test_dot_stuffing_is_removed_alike_wherever_the_blocks_end(parts: list[bytes], size: int) -> None:
    stuffed, mail = b"\r\n" + b"".join(parts), smtp_server._UnstuffedMail()  # pyright: ignore[reportPrivateUsage]
    for start in range(0, len(stuffed), size):
        mail.add(stuffed[start : start + size])

    plain = stuffed.replace(b"\r\n.", b"\r\n")[2:]
    assert mail.size_bytes == len(plain)
    assert mail.whole() == plain


@pytest.mark.parametrize(("over_bytes", "answer"), [(0, "250"), (1, "552")])
async def test_stuffed_dots_do_not_count_for_the_size(world: World, over_bytes: int, answer: str) -> None:
    content = HEAD + b".\r\n" * ((LIMIT_BYTES - len(HEAD)) // 3 - 2)
    content += b"x" * (LIMIT_BYTES - 2 + over_bytes - len(content)) + b"\r\n"
    async with world.door() as made, world.line(made.smtp_port) as caller:
        got = await caller.offer(content, TOWN)

    assert got[:3] == answer


async def test_others_have_their_turn_while_a_large_mail_is_taken_apart(world: World) -> None:
    where: dict[str, str] = {}

    def note(name: str, act: Any) -> Any:
        def noted(*args: Any) -> Any:
            where[name] = threading.current_thread().name
            return act(*args)

        return noted

    with (
        patch.object(mail_acceptance, "identify_message", note("identify", mail_acceptance.identify_message)),
        patch.object(mail_acceptance, "build_contact", note("contact", mail_acceptance.build_contact)),
        patch.object(mail_parser_pool, "build_result", note("result", mail_parser_pool.build_result)),
    ):
        async with world.door() as made, world.line(made.smtp_port) as caller:
            assert (await caller.offer(HEAD + b"a.\r\n" * 200_000, TOWN)).startswith("250")

    assert set(where) == {"identify", "contact", "result"}
    assert threading.main_thread().name not in where.values()


async def test_a_lone_dot_is_an_empty_mail_and_commands_behind_the_end_are_heard(world: World) -> None:
    async with world.door() as made, world.line(made.smtp_port) as caller:
        assert (await caller.offer(b"", TOWN)).startswith("250")
        caller.writer.write(f"MAIL FROM:<a@citizens.example>\r\nRCPT TO:<{TOWN}>\r\nDATA\r\n".encode())
        assert [(await caller.hear())[:3] for _ in range(3)] == ["250", "250", "354"]
        caller.writer.write(HEAD + b"..\r\n\r\n.\r\nNOOP\r\n")
        assert [(await caller.hear())[:3] for _ in range(2)] == ["250", "250"]
        assert original(made) == HEAD + b".\r\n\r\n"
