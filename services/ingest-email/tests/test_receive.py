"""What a mail server is told, over real sockets, and what is on the bus by then."""

import asyncio
import smtplib
import socket
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from parvis.common.blobs import Blobs
from parvis.common.bus import Record
from parvis.common.contact import ContactReceived
from parvis.common.delivery import DeliveryReported
from parvis.common.directory import load_directory
from parvis.common.errors import Unavailable
from parvis.common.reply import ReplyId, bounce_address
from parvis.common.testing import A_KEY, FakeProducer
from parvis.ingest_email.decide import Mailboxes
from parvis.ingest_email.parse.contact import Keys
from parvis.ingest_email.read.reader import Limits, Readers
from parvis.ingest_email.receive.acceptance import Acceptance
from parvis.ingest_email.receive.listeners import Listeners, Ports
from parvis.ingest_email.receive.protocol import Hooks

SAMPLES = Path(__file__).parents[1] / "samples"
DIRECTORY = load_directory(Path(__file__).parents[3] / "config" / "example-town")
TOWN, DOMAIN = DIRECTORY.town.mailbox, DIRECTORY.town.mail_domain
ROADS = f"voirie@{DOMAIN}"
CITIZEN = "camille@citizens.example"
REPLY = ReplyId("9c6d1f0e-5a51-5c5e-8d1f-1f0e5a515c5e")
LIMIT_BYTES = 1024 * 1024


def sample(name: str) -> bytes:
    return (SAMPLES / f"{name}.eml").read_bytes()


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


@dataclass
class Door:
    smtp_port: int
    lmtp_port: int
    producer: FakeProducer
    folder: Path
    stopping: asyncio.Event

    def contacts(self) -> list[ContactReceived]:
        return [
            ContactReceived.model_validate_json(record.value)
            for record in self.producer.sent
            if record.topic.endswith("contact.received")
        ]

    def stored(self) -> list[bytes]:
        return [file.read_bytes() for file in self.folder.rglob("*") if file.is_file()]


@dataclass
class Line:
    """One connection, spoken by hand."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def hear(self) -> str:
        """One reply, its lines joined."""
        lines: list[str] = []
        async with asyncio.timeout(30):
            while True:
                line = (await self.reader.readline()).decode().rstrip("\r\n")
                lines.append(line)
                if line[3:4] != "-":
                    return "\n".join(lines)

    async def say(self, text: str | bytes) -> str:
        self.writer.write((text.encode() if isinstance(text, str) else text) + b"\r\n")
        return await self.hear()

    async def offer(self, content: bytes, *recipients: str, sender: str = CITIZEN) -> str:
        """The answer to the lone dot; for LMTP the first of them."""
        assert (await self.say(f"MAIL FROM:<{sender}>")).startswith("250")
        for recipient in recipients:
            await self.say(f"RCPT TO:<{recipient}>")
        assert (await self.say("DATA")).startswith("354")
        stuffed = content.replace(b"\r\n.", b"\r\n..")
        return await self.say(stuffed + (b"." if stuffed.endswith(b"\r\n") else b"\r\n."))


@asynccontextmanager
async def line(port: int, hello: str = "EHLO mx.citizens.example") -> AsyncGenerator[Line]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    made = Line(reader, writer)
    try:
        assert (await made.hear()).startswith("220")
        assert (await made.say(hello)).startswith("250")
        yield made
    finally:
        writer.close()
        with_error = await asyncio.gather(writer.wait_closed(), return_exceptions=True)
        assert not any(isinstance(error, TimeoutError) for error in with_error)


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@asynccontextmanager
async def door(folder: Path, producer: FakeProducer | None = None, *, most: int = 50) -> AsyncGenerator[Door]:
    producer = producer or FakeProducer()
    readers = Readers(1, Limits(512 * 1024 * 1024, 10, 30))
    mailboxes = Mailboxes(DIRECTORY, A_KEY)
    acceptance = Acceptance(
        blobs=Blobs(f"file://{folder}/blobs"),
        producer=cast("Any", producer),
        reader=readers,
        keys=Keys(DOMAIN, A_KEY, A_KEY, mailboxes.own_addresses),
        topic_prefix="parvis",
        authserv_id="mx.example-town.example",
    )
    smtp, lmtp = free_ports(2)
    listeners = Listeners(
        Ports("127.0.0.1", smtp, lmtp),
        Hooks(mailboxes),
        acceptance,
        hostname=DOMAIN,
        limit_bytes=LIMIT_BYTES,
        most=most,
    )
    stopping = asyncio.Event()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(readers.running())
        group = await stack.enter_async_context(asyncio.TaskGroup())
        group.create_task(listeners.run(stopping))
        stack.callback(stopping.set)
        await listeners.opened.wait()
        yield Door(smtp, lmtp, producer, folder / "blobs", stopping)


async def test_a_mail_is_on_the_bus_before_yes(tmp_path: Path) -> None:
    async with door(tmp_path) as made, line(made.smtp_port) as caller:
        answer = await caller.offer(sample("road-fr"), TOWN, sender="cecile@citizens.example")
        (contact,) = made.contacts()
        assert answer == f"250 2.0.0 {contact.contact_id}"
        assert (contact.to, contact.language) == (TOWN, "fr")
        assert made.stored() == [sample("road-fr")]
        (record,) = made.producer.sent
        assert record.key.decode() == contact.contact_point_hash
        assert b"citizens" not in record.key + b"".join(value for _, value in record.headers)


async def test_the_library_of_everybody_speaks_to_it(tmp_path: Path) -> None:
    def send(port: int) -> dict[str, Any]:
        with smtplib.SMTP("127.0.0.1", port, timeout=30) as client:
            return client.sendmail(
                CITIZEN, [TOWN, ROADS], sample("road-fr"), mail_options=["SMTPUTF8", "BODY=8BITMIME"]
            )

    async with door(tmp_path) as made:
        assert await asyncio.to_thread(send, made.smtp_port) == {}
        assert {contact.to for contact in made.contacts()} == {TOWN, ROADS}


async def test_a_second_delivery_is_the_same_contact(tmp_path: Path) -> None:
    async with door(tmp_path) as made, line(made.smtp_port) as caller:
        first = await caller.offer(sample("road-fr"), TOWN)
        second = await caller.offer(b"Received: by another way\r\n" + sample("road-fr"), TOWN)
        assert first == second
        other = await caller.offer(sample("road-fr").replace(b"lundi", b"mardi"), TOWN)
        assert other != first


async def test_cut_after_the_dot_and_sent_again_is_one_contact(tmp_path: Path) -> None:
    """F-28 (RFC 1047): the mail is taken, the yes is lost."""
    async with door(tmp_path) as made:
        reader, writer = await asyncio.open_connection("127.0.0.1", made.smtp_port)
        caller = Line(reader, writer)
        await caller.hear()
        await caller.say("EHLO x")
        await caller.say(f"MAIL FROM:<{CITIZEN}>")
        await caller.say(f"RCPT TO:<{TOWN}>")
        await caller.say("DATA")
        writer.write(sample("road-fr") + b".\r\n")
        await writer.drain()
        writer.transport.abort()
        async with line(made.smtp_port) as again:
            answer = await again.offer(sample("road-fr"), TOWN)
        assert {contact.contact_id for contact in made.contacts()} == {answer.rpartition(" ")[2]}


async def test_each_recipient_over_lmtp_has_its_own_answer(tmp_path: Path) -> None:
    """F-29 (aio-libs/aiosmtpd#517): three recipients, one of them unknown, and the session stays in step."""
    async with door(tmp_path) as made, line(made.lmtp_port, "LHLO mx") as caller:
        assert await caller.say(f"MAIL FROM:<{CITIZEN}>") == "250 OK"
        assert (await caller.say(f"RCPT TO:<{TOWN}>")).startswith("250")
        assert (await caller.say(f"RCPT TO:<nobody@{DOMAIN}>")).startswith("550 5.1.1")
        assert (await caller.say(f"RCPT TO:<{ROADS}>")).startswith("250")
        await caller.say("DATA")
        answers = [await caller.say(sample("road-fr") + b"."), await caller.hear()]
        contacts = {contact.to: contact.contact_id for contact in made.contacts()}
        assert answers == [f"250 2.0.0 {contacts[TOWN]}", f"250 2.0.0 {contacts[ROADS]}"]
        assert (await caller.say("NOOP")).startswith("250")


async def test_over_lmtp_one_may_fail_and_the_other_not(tmp_path: Path) -> None:
    async with door(tmp_path, OneByOne()) as made, line(made.lmtp_port, "LHLO mx") as caller:
        first = await caller.offer(sample("road-fr"), TOWN, ROADS)
        assert (first[:9], (await caller.hear())[:9]) == ("250 2.0.0", "451 4.3.0")
        assert (await caller.say("NOOP")).startswith("250")


async def test_over_smtp_one_that_fails_is_451_for_all(tmp_path: Path) -> None:
    async with door(tmp_path, OneByOne()) as made, line(made.smtp_port) as caller:
        assert (await caller.offer(sample("road-fr"), TOWN, ROADS)).startswith("451 4.3.0")


async def test_kafka_away_is_451_and_the_mail_is_taken_when_it_is_back(tmp_path: Path) -> None:
    async with door(tmp_path) as made, line(made.smtp_port) as caller:
        made.producer.broken = Unavailable("no broker")
        assert (await caller.offer(sample("road-fr"), TOWN)).startswith("451 4.3.0")
        made.producer.broken = None
        assert (await caller.offer(sample("road-fr"), TOWN)).startswith("250 2.0.0")


async def test_blobs_away_is_451(tmp_path: Path) -> None:
    async with door(tmp_path) as made, line(made.smtp_port) as caller:
        made.folder.rmdir()
        made.folder.write_text("a file where the folder was")
        assert (await caller.offer(sample("road-fr"), TOWN)).startswith("451 4.3.0")
        assert made.producer.sent == []


@pytest.mark.parametrize(("hello", "answers"), [("EHLO mx", 1), ("LHLO mx", 2)])
async def test_a_failure_of_ours_is_never_500_and_says_nothing_of_the_inside(
    tmp_path: Path, hello: str, answers: int
) -> None:
    """F-30."""
    async with (
        door(tmp_path, Broken()) as made,
        line(made.lmtp_port if answers == 2 else made.smtp_port, hello) as caller,
    ):
        heard = [await caller.offer(sample("road-fr"), TOWN, ROADS)]
        heard += [await caller.hear() for _ in range(answers - 1)]
        assert {answer[:9] for answer in heard} == {"451 4.3.0"}
        assert "secret" not in "".join(heard)
        assert (await caller.say("NOOP")).startswith("250")


@pytest.mark.parametrize(("hello", "answers"), [("EHLO mx", 1), ("LHLO mx", 2)])
async def test_too_large_is_refused_before_and_after_it_is_sent(tmp_path: Path, hello: str, answers: int) -> None:
    async with door(tmp_path) as made, line(made.lmtp_port if answers == 2 else made.smtp_port, hello) as caller:
        assert (await caller.say(f"MAIL FROM:<{CITIZEN}> SIZE={LIMIT_BYTES + 1}")).startswith("552")
        heard = [await caller.offer(b"Subject: x\r\n\r\n" + b"0123456789\r\n" * (LIMIT_BYTES // 10), TOWN, ROADS)]
        heard += [await caller.hear() for _ in range(answers - 1)]
        assert {answer[:9] for answer in heard} == {"552 5.3.4"}
        assert (await caller.offer(sample("road-fr"), TOWN)).startswith("250")


async def test_a_line_as_long_as_the_mail_is_a_mail(tmp_path: Path) -> None:
    async with door(tmp_path) as made, line(made.smtp_port) as caller:
        assert (await caller.offer(b"From: a@b.example\r\n\r\n" + b"x" * 300_000, TOWN)).startswith("250")
        (contact,) = made.contacts()
        assert contact.text_overflow
        assert contact.text_overflow.size_bytes == 300_000


@pytest.mark.parametrize("trick", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n"])
async def test_only_a_lone_dot_between_whole_line_ends_is_the_end(tmp_path: Path, trick: bytes) -> None:
    """SMTP smuggling (CVE-2024-27305)."""
    smuggled = (
        b"Subject: one\r\n\r\nBonjour"
        + trick
        + b"MAIL FROM:<evil@b.example>\r\nRCPT TO:<"
        + TOWN.encode()
        + b">\r\nDATA\r\n"
    )
    async with door(tmp_path) as made, line(made.smtp_port) as caller:
        await caller.say(f"MAIL FROM:<{CITIZEN}>")
        await caller.say(f"RCPT TO:<{TOWN}>")
        await caller.say("DATA")
        assert (await caller.say(smuggled + b"\r\n.")).startswith("250")
        assert made.stored() == [
            smuggled.replace(b"\r\n.", b"\r\n") + b"\r\n"
        ]  # a dot that begins a line is doubled on the way


@pytest.mark.parametrize("content", [b"", b".", b"..", b"a", b".\r\n.", b"a\r\n.b\r\n..c", b"\r\n", b"x.\r\n.y."])
async def test_dots_are_what_they_were(tmp_path: Path, content: bytes) -> None:
    async with door(tmp_path) as made, line(made.smtp_port) as caller:
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


async def test_commands_sent_at_once_are_answered_in_order(tmp_path: Path) -> None:
    async with door(tmp_path) as made, line(made.smtp_port) as caller:
        one = f"MAIL FROM:<{CITIZEN}>\r\nRCPT TO:<{TOWN}>\r\nDATA\r\n".encode()
        caller.writer.write(one)
        heard = [await caller.hear() for _ in range(3)]
        caller.writer.write(sample("road-fr") + b".\r\n" + one)
        heard += [await caller.hear() for _ in range(4)]
        assert [answer[:3] for answer in heard] == ["250", "250", "354", "250", "250", "250", "354"]


async def test_a_bounce_that_names_a_reply_is_a_report_and_no_contact(tmp_path: Path) -> None:
    address = bounce_address(REPLY, DOMAIN, A_KEY)
    async with door(tmp_path) as made, line(made.smtp_port) as caller:
        assert (await caller.offer(sample("dsn-failed"), address, sender="")).startswith("250")
        (record,) = made.producer.sent
        report = DeliveryReported.model_validate_json(record.value)
        assert (record.topic, record.key.decode()) == ("parvis.delivery.reported", REPLY)
        assert (report.reply_id, report.outcome, report.failure_class) == (REPLY, "undelivered", "permanent")


async def test_a_bounce_that_names_none_is_a_machines_contact(tmp_path: Path) -> None:
    async with door(tmp_path) as made, line(made.smtp_port) as caller:
        for address in (TOWN, f"bounce+{REPLY}.forged@{DOMAIN}"):
            assert (await caller.offer(sample("dsn-failed"), address, sender="")).startswith("250")
        contacts = made.contacts()
        assert [contact.machine.reason for contact in contacts if contact.machine] == ["auto-replied"] * 2
        assert {contact.to for contact in contacts} == {TOWN}


async def test_an_automatic_answer_to_a_reply_is_a_machines_contact(tmp_path: Path) -> None:
    async with door(tmp_path) as made, line(made.smtp_port) as caller:
        await caller.offer(sample("away"), bounce_address(REPLY, DOMAIN, A_KEY), sender="")
        (contact,) = made.contacts()
        assert contact.machine


async def test_addresses_in_any_script(tmp_path: Path) -> None:
    async with door(tmp_path) as made, line(made.smtp_port) as caller:
        assert (await caller.say("MAIL FROM:<élise@citoyens.example> SMTPUTF8 BODY=8BITMIME")).startswith("250")
        assert (await caller.say(f"RCPT TO:<{TOWN}>")).startswith("250")
        assert (await caller.say("RCPT TO:<mairié@example-town.example>")).startswith("550")
        await caller.say("DATA")
        assert (await caller.say("Subject: x\r\n\r\nBonjour\r\n.")).startswith("250")
        (contact,) = made.contacts()
        assert contact.personal.from_
        assert contact.personal.from_.value == "élise@citoyens.example"


async def test_more_than_may_be_open_are_sent_away(tmp_path: Path) -> None:
    async with door(tmp_path, most=1) as made, line(made.smtp_port), line(made.smtp_port):
        reader, writer = await asyncio.open_connection("127.0.0.1", made.smtp_port)
        assert (await reader.readline()).startswith(b"421 4.7.0")
        writer.close()
        await writer.wait_closed()


async def test_a_stop_lets_a_mail_have_its_answer_and_ends_the_idle(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        made = await stack.enter_async_context(door(tmp_path))
        idle = await stack.enter_async_context(line(made.smtp_port))
        busy = await stack.enter_async_context(line(made.smtp_port))
        await busy.say(f"MAIL FROM:<{CITIZEN}>")
        await busy.say(f"RCPT TO:<{TOWN}>")
        await busy.say("DATA")
        made.stopping.set()
        assert (await idle.hear()).startswith("421 4.3.2")
        assert (await busy.say(sample("road-fr") + b".")).startswith("250 2.0.0")
        assert (await busy.hear()).startswith("421 4.3.2")


async def test_a_wrong_order_is_told_and_nothing_is_taken(tmp_path: Path) -> None:
    async with door(tmp_path) as made, line(made.smtp_port) as caller:
        assert (await caller.say("DATA")).startswith("503")
        assert (await caller.say(f"RCPT TO:<{TOWN}>")).startswith("503")
        await caller.say(f"MAIL FROM:<{CITIZEN}>")
        assert (await caller.say("RCPT TO:<nobody@elsewhere.example>")).startswith("550 5.1.1")
        assert (await caller.say("DATA")).startswith("503")
        await caller.say(f"RCPT TO:<{TOWN}>")
        await caller.say("RSET")
        assert (await caller.say("DATA")).startswith("503")
        assert made.producer.sent == []
