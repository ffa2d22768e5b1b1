"""Tests STARTTLS, XFORWARD, XCLIENT and the limits of each source."""

import asyncio
import smtplib
import ssl
from pathlib import Path
from typing import Any

import pytest

from parvis.common.town.loading import load_town_config
from parvis.ingest_email.parse.xforward import client_address, parse_attributes
from parvis.ingest_email.receive.limits import SMALL_BYTES, MemoryBudget, SourceLimits
from parvis.ingest_email.receive.smtp_server import SharedResources
from parvis.simulators.mail.certificate import tls_context

World = Any  # the class in conftest.py, which no test can import
TOWN_CONFIG = load_town_config(Path(__file__).parents[3] / "config" / "example-town")
TOWN, DOMAIN = TOWN_CONFIG.town.mailbox, TOWN_CONFIG.town.mail_domain
CITIZEN = "camille@citizens.example"
MAIL = b"From: camille@citizens.example\r\nSubject: x\r\n\r\nBonjour\r\n"


def allowing(**changes: Any) -> SourceLimits:
    given: dict[str, Any] = {
        "client_per_minute": 1e6,
        "domain_per_minute": 1e6,
        "connections": 50,
        "trusted": ["127.0.0.0/8"],
    }
    return SourceLimits(**(given | changes))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("tls") / "door.pem"
    tls_context(file, "127.0.0.1")
    return file


def encrypted(certificate: Path, *, required: bool = False) -> SharedResources:
    return SharedResources(MemoryBudget(8 * 1024 * 1024), tls_context(certificate, "127.0.0.1"), required)


async def test_a_mail_may_come_encrypted(world: World, certificate: Path):
    def send(port: int) -> tuple[dict[str, Any], bool]:
        with smtplib.SMTP("127.0.0.1", port, timeout=30) as client:
            client.starttls(context=ssl.create_default_context(cafile=certificate))
            client.ehlo()
            refused = client.sendmail(CITIZEN, [TOWN], MAIL + b"x" * 100_000 + b"\r\n")
            return refused, client.has_extn("starttls")

    async with world.door(surroundings=encrypted(certificate)) as made:
        assert await asyncio.to_thread(send, made.smtp_port) == ({}, False)
        assert len(made.contacts()) == 1


async def test_no_password_is_asked_for_encrypted_or_not(world: World, certificate: Path):
    def try_to_log_in(port: int) -> list[int]:
        with smtplib.SMTP("127.0.0.1", port, timeout=30) as client:
            answers = [client.docmd("AUTH", "PLAIN AGEAYg=="), client.docmd("AUTH", "LOGIN")]
            client.starttls(context=ssl.create_default_context(cafile=certificate))
            client.ehlo()
            answers += [client.docmd("AUTH", "PLAIN AGEAYg=="), client.docmd("AUTH", "LOGIN")]
            return [code for code, _ in answers]

    async with world.door(surroundings=encrypted(certificate)) as made:
        assert await asyncio.to_thread(try_to_log_in, made.smtp_port) == [502] * 4


async def test_what_was_said_in_clear_behind_starttls_is_not_heard(world: World, certificate: Path):
    """CVE-2024-34083."""
    async with world.door(surroundings=encrypted(certificate)) as made, world.line(made.smtp_port) as caller:
        assert (await caller.say(b"STARTTLS\r\nNOOP")).startswith("220")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await caller.reader.readline()


async def test_where_encryption_is_required_nothing_is_taken_without(world: World, certificate: Path):
    async with world.door(surroundings=encrypted(certificate, required=True)) as made:
        async with world.line(made.smtp_port) as caller:
            assert (await caller.say(f"MAIL FROM:<{CITIZEN}>")).startswith("530 5.7.0")
        async with world.line(made.lmtp_port, "LHLO mx") as caller:
            assert (await caller.say(f"MAIL FROM:<{CITIZEN}>")).startswith("530 5.7.0")


async def test_without_a_certificate_it_is_not_offered(world: World):
    async with world.door() as made, world.line(made.smtp_port) as caller:
        assert "STARTTLS" not in await caller.say("EHLO mx")
        assert (await caller.say("STARTTLS")).startswith("454")


async def test_strangers_are_told_nothing(world: World):
    async with world.door() as made, world.line(made.smtp_port) as caller:
        known, unknown = [await caller.say(f"VRFY {who}@{DOMAIN}") for who in ("mairie", "nobody")]
        assert known == unknown
        assert (await caller.say("EXPN mairie")).startswith("502")
        assert (await caller.say("HELP MAIL")) == "214 2.0.0 RFC 5321"
        assert (await caller.say("AUTH PLAIN AGEAYg==")).startswith(("500", "502", "538"))


async def test_only_a_trusted_server_says_who_its_client_is(world: World):
    async with world.door() as made, world.line(made.smtp_port) as caller:
        assert "XFORWARD" in await caller.say("EHLO mx")
        assert (await caller.say("XFORWARD ADDR=198.51.100.7 NAME=mail.citizens.example")).startswith("250")
        assert (await caller.say("XFORWARD nonsense")).startswith("501")
    async with world.door(allowance=allowing(trusted=["10.0.0.0/8"])) as made, world.line(made.smtp_port) as caller:
        assert "XFORWARD" not in await caller.say("EHLO mx")
        assert (await caller.say("XFORWARD ADDR=198.51.100.7")).startswith("550")


async def test_a_source_that_sends_too_much_waits_and_no_other_does(world: World):
    allowance = allowing(client_per_minute=0.5, domain_per_minute=0.5)  # two at once
    async with world.door(allowance=allowance) as made, world.line(made.smtp_port) as caller:

        async def mail(sender: str) -> str:
            answer = await caller.say(f"MAIL FROM:<{sender}>")
            await caller.say("RSET")
            return answer[:9]

        assert [await mail("a@flood.example") for _ in range(3)] == ["250 2.1.0", "250 2.1.0", "451 4.7.0"]
        assert await mail(CITIZEN) == "250 2.1.0"
        assert await mail("") == "250 2.1.0"  # a bounce is no mail of that source
        await caller.say("XFORWARD ADDR=198.51.100.7")
        assert [await mail("a@flood.example") for _ in range(3)] == ["250 2.1.0", "250 2.1.0", "451 4.7.0"]
        await caller.say("XFORWARD ADDR=198.51.100.8")
        assert await mail("a@flood.example") == "250 2.1.0"


async def test_one_client_does_not_take_all_connections(world: World):
    async with (
        world.door(allowance=allowing(connections=1, trusted=["10.0.0.0/8"])) as made,
        world.line(made.smtp_port),
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", made.smtp_port)
        assert (await reader.readline()).startswith(b"421 4.7.0")
        writer.close()
        await writer.wait_closed()


async def test_a_small_mail_does_not_wait_for_large_ones(world: World):
    room = MemoryBudget(SMALL_BYTES * 2)
    async with world.door(surroundings=SharedResources(room)) as made:
        async with world.line(made.smtp_port) as large, world.line(made.smtp_port) as small:
            await large.say(f"MAIL FROM:<{CITIZEN}> SIZE={SMALL_BYTES * 2}")
            await large.say(f"RCPT TO:<{TOWN}>")
            assert (await large.say("DATA")).startswith("354")
            assert not await room.reserve(SMALL_BYTES, wait_s=0.01)
            assert (await small.offer(MAIL, TOWN)).startswith("250")
            assert (await large.say(MAIL + b".")).startswith("250")
        assert await room.reserve(SMALL_BYTES * 2, wait_s=1)


async def test_room_is_given_in_the_order_of_asking():
    room, order = MemoryBudget(1_000_000), list[int]()

    async def one(number: int) -> None:
        async with room.open_share() as share:
            assert await share.grow_to(600_000, wait_s=10)
            order.append(number)

    async with asyncio.TaskGroup() as group:
        for number in range(5):
            group.create_task(one(number))
    assert order == [0, 1, 2, 3, 4]


def test_attributes_are_read_as_postfix_writes_them():
    assert parse_attributes("NAME=spike.example ADDR=IPV6:2001:db8::1 HELO=a+3Db") == {
        "NAME": "spike.example", "ADDR": "IPV6:2001:db8::1", "HELO": "a=b",
    }  # fmt: skip
    assert client_address(parse_attributes("ADDR=IPV6:2001:db8::1") or {}) == "2001:db8::1"
    assert parse_attributes("ADDR=[UNAVAILABLE]") == {}
    assert parse_attributes("ADDR") is None
