"""Runs the SMTP and LMTP listeners on real sockets with a fake producer, and a client to speak to them."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from parvis.common.contract.contact import ContactReceived
from parvis.common.files.antivirus import AntivirusScanner
from parvis.common.runtime.health import Health
from parvis.common.storage.blobs import BlobStore
from parvis.common.testing import A_KEY, FakeProducer
from parvis.common.town.loading import load_town_config
from parvis.ingest_email.decide.recipients import TownMailboxes
from parvis.ingest_email.parse.mail_to_contact import TownMailConfig
from parvis.ingest_email.receive.limits import MemoryBudget, SourceLimits
from parvis.ingest_email.receive.mail_acceptance import MailAcceptance
from parvis.ingest_email.receive.smtp_hooks import SmtpHooks
from parvis.ingest_email.receive.smtp_listeners import ListenPorts, SmtpListeners
from parvis.ingest_email.receive.smtp_server import SharedResources
from parvis.ingest_email.sandbox.mail_parser_pool import MailParserPool, ResourceLimits

TOWN_CONFIG = load_town_config(Path(__file__).parents[3] / "config" / "example-town")
DOMAIN = TOWN_CONFIG.town.mail_domain
LIMIT_BYTES = 1024 * 1024


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
        return [file.read_bytes() for file in self.folder.rglob("*") if file.is_file() and file.suffix != ".segment"]


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

    async def offer(self, content: bytes, *recipients: str, sender: str = "camille@citizens.example") -> str:
        """The answer to the lone dot; for LMTP the first of them."""
        assert (await self.say(f"MAIL FROM:<{sender}>")).startswith("250")
        for recipient in recipients:
            await self.say(f"RCPT TO:<{recipient}>")
        assert (await self.say("DATA")).startswith("354")
        stuffed = content.replace(b"\r\n.", b"\r\n..")
        return await self.say(stuffed + (b"." if stuffed.endswith(b"\r\n") else b"\r\n."))


def an_allowance(**changes: Any) -> SourceLimits:
    given: dict[str, Any] = {
        "client_per_minute": 1e6,
        "domain_per_minute": 1e6,
        "connections": 50,
        "trusted": ["127.0.0.0/8"],
    }
    return SourceLimits(**(given | changes))


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@dataclass
class World:
    """What a test of the door needs."""

    folder: Path

    def sample(self, name: str) -> bytes:
        return (Path(__file__).parents[1] / "samples" / f"{name}.eml").read_bytes()

    @asynccontextmanager
    async def line(self, port: int, hello: str = "EHLO mx.citizens.example") -> AsyncGenerator[Line]:
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

    @asynccontextmanager
    async def door(
        self,
        producer: FakeProducer | None = None,
        *,
        most: int = 50,
        allowance: SourceLimits | None = None,
        surroundings: SharedResources | None = None,
    ) -> AsyncGenerator[Door]:
        producer = producer or FakeProducer()
        readers = MailParserPool(1, ResourceLimits(512 * 1024 * 1024, 10, 30))
        mailboxes = TownMailboxes(TOWN_CONFIG, A_KEY)
        acceptance = MailAcceptance(
            blobs=BlobStore(f"file://{self.folder}/blobs"),
            producer=cast("Any", producer),
            parser=readers,
            keys=TownMailConfig(DOMAIN, A_KEY, A_KEY, mailboxes.own_addresses),
            topic_prefix="parvis",
            authserv_id="mx.example-town.example",
            scanner=AntivirusScanner(""),
        )
        smtp, lmtp = free_ports(2)
        listeners = SmtpListeners(
            ListenPorts("127.0.0.1", smtp, lmtp),
            SmtpHooks(mailboxes, allowance or an_allowance()),
            acceptance,
            surroundings or SharedResources(MemoryBudget(8 * LIMIT_BYTES)),
            hostname=DOMAIN,
            limit_bytes=LIMIT_BYTES,
            max_connections=most,
            health=Health(),
        )
        listeners.bind()
        stopping = asyncio.Event()
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(readers.running())
            group = await stack.enter_async_context(asyncio.TaskGroup())
            group.create_task(listeners.run(stopping))
            stack.callback(stopping.set)
            await listeners.opened.wait()
            yield Door(smtp, lmtp, producer, self.folder / "blobs", stopping)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)
