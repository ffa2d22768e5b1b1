"""Tests the answers a mail server gets over real sockets, and the events published by then."""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from parvis.common.bus.cloudevents import Record
from parvis.common.contract.delivery import DeliveryReported
from parvis.common.contract.errors import Unavailable
from parvis.common.contract.mail_tokens import make_bounce_address
from parvis.common.contract.reply import ReplyId
from parvis.common.testing import A_KEY, FakeProducer
from parvis.common.town.loading import load_town_config
from parvis.ingest_email.receive.limits import SourceLimits

World = Any  # the class in conftest.py, which no test can import
TOWN_CONFIG = load_town_config(Path(__file__).parents[3] / "config" / "example-town")
TOWN, DOMAIN = TOWN_CONFIG.town.mailbox, TOWN_CONFIG.town.mail_domain
ROADS = f"voirie@{DOMAIN}"
CITIZEN = "camille@citizens.example"
REPLY = ReplyId("9c6d1f0e-5a51-5c5e-8d1f-1f0e5a515c5e")


class OneByOne(FakeProducer):
    """Refuses the mail to one mailbox."""

    refused = ROADS.encode()

    async def send_all(self, records: list[Record], *, deadline_s: float = 8.0) -> None:
        if any(b'"to":"' + self.refused in record.value for record in records):
            raise Unavailable("no broker for this one")
        await super().send_all(records, deadline_s=deadline_s)


class Broken(FakeProducer):
    """Fails in a way that nobody thought of."""

    async def send_all(self, records: list[Record], *, deadline_s: float = 8.0) -> None:
        raise KeyError("secret of the inside")


async def test_a_mail_is_on_the_bus_before_yes(world: World) -> None:
    async with world.door() as made, world.line(made.smtp_port) as caller:
        answer = await caller.offer(world.sample("road-fr"), TOWN, sender="cecile@citizens.example")
        (contact,) = made.contacts()
        assert answer == f"250 2.0.0 {contact.contact_id}"
        assert (contact.to, contact.language) == (TOWN, "fr")
        assert made.stored() == [world.sample("road-fr")]
        (record,) = made.producer.sent
        assert record.key.decode() == contact.contact_point_hash
        assert b"citizens" not in record.key + b"".join(value for _, value in record.headers)


async def test_a_second_delivery_is_the_same_contact(world: World) -> None:
    async with world.door() as made, world.line(made.smtp_port) as caller:
        first = await caller.offer(world.sample("road-fr"), TOWN)
        second = await caller.offer(b"Received: by another way\r\n" + world.sample("road-fr"), TOWN)
        assert first == second
        other = await caller.offer(world.sample("road-fr").replace(b"lundi", b"mardi"), TOWN)
        assert other != first


async def test_cut_after_the_dot_and_sent_again_is_one_contact(world: World) -> None:
    """F-28 (RFC 1047): the mail is taken, the yes is lost."""
    async with world.door() as made:
        stack = AsyncExitStack()
        caller = await stack.enter_async_context(world.line(made.smtp_port))
        await caller.say(f"MAIL FROM:<{CITIZEN}>")
        await caller.say(f"RCPT TO:<{TOWN}>")
        await caller.say("DATA")
        caller.writer.write(world.sample("road-fr") + b".\r\n")
        await caller.writer.drain()
        caller.writer.transport.abort()
        await stack.aclose()
        async with world.line(made.smtp_port) as again:
            answer = await again.offer(world.sample("road-fr"), TOWN)
        assert {contact.contact_id for contact in made.contacts()} == {answer.rpartition(" ")[2]}


async def test_over_lmtp_one_may_fail_and_the_other_not(world: World) -> None:
    async with world.door(OneByOne()) as made, world.line(made.lmtp_port, "LHLO mx") as caller:
        first = await caller.offer(world.sample("road-fr"), TOWN, ROADS)
        assert (first[:9], (await caller.hear())[:9]) == ("250 2.0.0", "451 4.3.0")
        assert (await caller.say("NOOP")).startswith("250")


async def test_over_smtp_one_that_fails_is_451_for_all(world: World) -> None:
    async with world.door(OneByOne()) as made, world.line(made.smtp_port) as caller:
        assert (await caller.offer(world.sample("road-fr"), TOWN, ROADS)).startswith("451 4.3.0")


async def test_kafka_away_is_451_and_the_mail_is_taken_when_it_is_back(world: World) -> None:
    async with world.door() as made, world.line(made.smtp_port) as caller:
        made.producer.broken = Unavailable("no broker")
        assert (await caller.offer(world.sample("road-fr"), TOWN)).startswith("451 4.3.0")
        made.producer.broken = None
        assert (await caller.offer(world.sample("road-fr"), TOWN)).startswith("250 2.0.0")


async def test_blobs_away_is_451(world: World) -> None:
    async with world.door() as made, world.line(made.smtp_port) as caller:
        made.folder.rmdir()
        made.folder.write_text("a file where the folder was")
        assert (await caller.offer(world.sample("road-fr"), TOWN)).startswith("451 4.3.0")
        assert made.producer.sent == []


@pytest.mark.parametrize(("hello", "answers"), [("EHLO mx", 1), ("LHLO mx", 2)])
async def test_a_failure_of_ours_is_never_500_and_says_nothing_of_the_inside(
    world: World, hello: str, answers: int
) -> None:
    """F-30."""
    async with (
        world.door(Broken()) as made,
        world.line(made.lmtp_port if answers == 2 else made.smtp_port, hello) as caller,
    ):
        heard = [await caller.offer(world.sample("road-fr"), TOWN, ROADS)]
        heard += [await caller.hear() for _ in range(answers - 1)]
        assert {answer[:9] for answer in heard} == {"451 4.3.0"}
        assert "secret" not in "".join(heard)
        assert (await caller.say("NOOP")).startswith("250")


async def test_a_bounce_that_names_a_reply_is_a_report_and_no_contact(world: World) -> None:
    address = make_bounce_address(REPLY, DOMAIN, A_KEY)
    async with world.door() as made, world.line(made.smtp_port) as caller:
        assert (await caller.offer(world.sample("dsn-failed"), address, sender="")).startswith("250")
        (record,) = made.producer.sent
        report = DeliveryReported.model_validate_json(record.value)
        assert (record.topic, record.key.decode()) == ("parvis.delivery.reported", REPLY)
        assert (report.reply_id, report.outcome, report.failure_class) == (REPLY, "undelivered", "permanent")


async def test_a_bounce_that_names_none_is_a_machines_contact(world: World) -> None:
    async with world.door() as made, world.line(made.smtp_port) as caller:
        for address in (TOWN, f"bounce+{REPLY}.forged@{DOMAIN}"):
            assert (await caller.offer(world.sample("dsn-failed"), address, sender="")).startswith("250")
        contacts = made.contacts()
        assert [contact.machine.reason for contact in contacts if contact.machine] == ["auto-replied"] * 2
        assert {contact.to for contact in contacts} == {TOWN}


async def test_an_automatic_answer_to_a_reply_is_a_machines_contact(world: World) -> None:
    async with world.door() as made, world.line(made.smtp_port) as caller:
        await caller.offer(world.sample("away"), make_bounce_address(REPLY, DOMAIN, A_KEY), sender="")
        (contact,) = made.contacts()
        assert contact.machine


@pytest.mark.parametrize(("trusted", "level"), [(["127.0.0.0/8"], "domain"), ([], "none")])
async def test_verdicts_count_from_our_own_mail_server_alone(world: World, trusted: list[str], level: str) -> None:
    verdict = b"Authentication-Results: mx.example-town.example; dmarc=pass header.from=citizens.example\r\n"
    mail = b"From: camille@citizens.example\r\nSubject: a\r\n\r\nBonjour\r\n"
    allowance = SourceLimits(client_per_minute=1e6, domain_per_minute=1e6, connections=50, trusted=trusted)
    async with world.door(allowance=allowance) as made, world.line(made.smtp_port) as caller:
        assert (await caller.offer(verdict + mail, TOWN)).startswith("250")
        (contact,) = made.contacts()
        assert (contact.sender.level, contact.sender.dmarc) == (level, "pass" if trusted else None)
