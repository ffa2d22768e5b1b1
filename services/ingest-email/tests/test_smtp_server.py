"""Tests the SMTP and LMTP protocols over real sockets."""

import asyncio
import smtplib
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from parvis.common.town.loading import load_town_config

World = Any  # the class in conftest.py, which no test can import
TOWN_CONFIG = load_town_config(Path(__file__).parents[3] / "config" / "example-town")
TOWN, DOMAIN = TOWN_CONFIG.town.mailbox, TOWN_CONFIG.town.mail_domain
ROADS = f"voirie@{DOMAIN}"
CITIZEN = "camille@citizens.example"
LIMIT_BYTES = 1024 * 1024


async def test_the_library_of_everybody_speaks_to_it(world: World) -> None:
    def send(port: int) -> dict[str, Any]:
        with smtplib.SMTP("127.0.0.1", port, timeout=30) as client:
            return client.sendmail(
                CITIZEN, [TOWN, ROADS], world.sample("road-fr"), mail_options=["SMTPUTF8", "BODY=8BITMIME"]
            )

    async with world.door() as made:
        assert await asyncio.to_thread(send, made.smtp_port) == {}
        assert {contact.to for contact in made.contacts()} == {TOWN, ROADS}


async def test_each_recipient_over_lmtp_has_its_own_answer(world: World) -> None:
    """F-29 (aio-libs/aiosmtpd#517): three recipients, one of them unknown, and the session stays in step."""
    async with world.door() as made, world.line(made.lmtp_port, "LHLO mx") as caller:
        assert (await caller.say(f"MAIL FROM:<{CITIZEN}>")).startswith("250")
        assert (await caller.say(f"RCPT TO:<{TOWN}>")).startswith("250")
        assert (await caller.say(f"RCPT TO:<nobody@{DOMAIN}>")).startswith("550 5.1.1")
        assert (await caller.say(f"RCPT TO:<{ROADS}>")).startswith("250")
        await caller.say("DATA")
        answers = [await caller.say(world.sample("road-fr") + b"."), await caller.hear()]
        contacts = {contact.to: contact.contact_id for contact in made.contacts()}
        assert answers == [f"250 2.0.0 {contacts[TOWN]}", f"250 2.0.0 {contacts[ROADS]}"]
        assert (await caller.say("NOOP")).startswith("250")


@pytest.mark.parametrize(("hello", "answers"), [("EHLO mx", 1), ("LHLO mx", 2)])
async def test_too_large_is_refused_before_and_after_it_is_sent(world: World, hello: str, answers: int) -> None:
    async with world.door() as made, world.line(made.lmtp_port if answers == 2 else made.smtp_port, hello) as caller:
        assert (await caller.say(f"MAIL FROM:<{CITIZEN}> SIZE={LIMIT_BYTES + 1}")).startswith("552")
        heard = [await caller.offer(b"Subject: x\r\n\r\n" + b"0123456789\r\n" * (LIMIT_BYTES // 10), TOWN, ROADS)]
        heard += [await caller.hear() for _ in range(answers - 1)]
        assert {answer[:9] for answer in heard} == {"552 5.3.4"}
        assert (await caller.offer(world.sample("road-fr"), TOWN)).startswith("250")


async def test_a_line_as_long_as_the_mail_is_a_mail(world: World) -> None:
    async with world.door() as made, world.line(made.smtp_port) as caller:
        assert (await caller.offer(b"From: a@b.example\r\n\r\n" + b"x" * 300_000, TOWN)).startswith("250")
        (contact,) = made.contacts()
        assert contact.text_overflow
        assert contact.text_overflow.size_bytes == 300_000


@pytest.mark.parametrize("trick", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n"])
async def test_only_a_lone_dot_between_whole_line_ends_is_the_end(world: World, trick: bytes) -> None:
    """SMTP smuggling (CVE-2024-27305)."""
    smuggled = (
        b"Subject: one\r\n\r\nBonjour"
        + trick
        + b"MAIL FROM:<evil@b.example>\r\nRCPT TO:<"
        + TOWN.encode()
        + b">\r\nDATA\r\n"
    )
    async with world.door() as made, world.line(made.smtp_port) as caller:
        await caller.say(f"MAIL FROM:<{CITIZEN}>")
        await caller.say(f"RCPT TO:<{TOWN}>")
        await caller.say("DATA")
        assert (await caller.say(smuggled + b"\r\n.")).startswith("250")
        assert made.stored() == [
            smuggled.replace(b"\r\n.", b"\r\n") + b"\r\n"
        ]  # a dot that begins a line is doubled on the way


@pytest.mark.parametrize("content", [b"", b".", b"..", b"a", b".\r\n.", b"a\r\n.b\r\n..c", b"\r\n", b"x.\r\n.y."])
async def test_dots_are_what_they_were(world: World, content: bytes) -> None:
    async with world.door() as made, world.line(made.smtp_port) as caller:
        await caller.say(f"MAIL FROM:<{CITIZEN}>")
        await caller.say(f"RCPT TO:<{TOWN}>")
        await caller.say("DATA")
        sent = (
            b"".join(b"." * part.startswith(b".") + part + b"\r\n" for part in content.split(b"\r\n"))
            if content
            else b""
        )
        assert (await caller.say(sent + b".")).startswith("250")
        assert made.stored() == [content + b"\r\n" * bool(content)]


async def test_commands_sent_at_once_are_answered_in_order(world: World) -> None:
    async with world.door() as made, world.line(made.smtp_port) as caller:
        one = f"MAIL FROM:<{CITIZEN}>\r\nRCPT TO:<{TOWN}>\r\nDATA\r\n".encode()
        caller.writer.write(one)
        heard = [await caller.hear() for _ in range(3)]
        caller.writer.write(world.sample("road-fr") + b".\r\n" + one)
        heard += [await caller.hear() for _ in range(4)]
        assert [answer[:3] for answer in heard] == ["250", "250", "354", "250", "250", "250", "354"]


async def test_addresses_in_any_script(world: World) -> None:
    async with world.door() as made, world.line(made.smtp_port) as caller:
        assert (await caller.say("MAIL FROM:<élise@citoyens.example> SMTPUTF8 BODY=8BITMIME")).startswith("250")
        assert (await caller.say(f"RCPT TO:<{TOWN}>")).startswith("250")
        assert (await caller.say("RCPT TO:<mairié@example-town.example>")).startswith("550")
        await caller.say("DATA")
        assert (await caller.say("Subject: x\r\n\r\nBonjour\r\n.")).startswith("250")
        (contact,) = made.contacts()
        assert contact.personal.from_
        assert contact.personal.from_.value == "élise@citoyens.example"


async def test_more_than_may_be_open_are_sent_away(world: World) -> None:
    async with world.door(most=2) as made, world.line(made.smtp_port), world.line(made.smtp_port):
        reader, writer = await asyncio.open_connection("127.0.0.1", made.smtp_port)
        assert (await reader.readline()).startswith(b"421 4.7.0")
        writer.close()
        await writer.wait_closed()


async def test_a_stop_lets_a_mail_have_its_answer_and_ends_the_idle(world: World) -> None:
    async with AsyncExitStack() as stack:
        made = await stack.enter_async_context(world.door())
        idle = await stack.enter_async_context(world.line(made.smtp_port))
        busy = await stack.enter_async_context(world.line(made.smtp_port))
        await busy.say(f"MAIL FROM:<{CITIZEN}>")
        await busy.say(f"RCPT TO:<{TOWN}>")
        await busy.say("DATA")
        made.stopping.set()
        assert (await idle.hear()).startswith("421 4.3.2")
        assert (await busy.say(world.sample("road-fr") + b".")).startswith("250 2.0.0")
        assert (await busy.hear()).startswith("421 4.3.2")


async def test_a_wrong_order_is_told_and_nothing_is_taken(world: World) -> None:
    async with world.door() as made, world.line(made.smtp_port) as caller:
        assert (await caller.say("DATA")).startswith("503")
        assert (await caller.say(f"RCPT TO:<{TOWN}>")).startswith("503")
        await caller.say(f"MAIL FROM:<{CITIZEN}>")
        assert (await caller.say("RCPT TO:<nobody@elsewhere.example>")).startswith("550 5.1.1")
        assert (await caller.say("DATA")).startswith("503")
        await caller.say(f"RCPT TO:<{TOWN}>")
        await caller.say("RSET")
        assert (await caller.say("DATA")).startswith("503")
        assert made.producer.sent == []
