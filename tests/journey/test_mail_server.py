"""Tests the real Postfix, with the configuration of `deploy/postfix`, in front of ingest-email, and a real Dovecot behind it."""

import asyncio
import smtplib
import socket
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from parvis.common.bus.topic_reader import read_all_records
from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.topics import CONTACT_RECEIVED
from parvis.local.stack import Stack
from parvis.local.towns_on_shared_brokers import TownsOnSharedBrokers
from tests.faults.smtp_client import RECIPIENT, SENDER, build_mail
from tests.mail import dovecot, postfix
from tests.mail.postfix import MailServer, mail_server
from tests.patience import PATIENCE_S

UNABLE = postfix.missing()
pytestmark = [pytest.mark.journey, pytest.mark.stack, pytest.mark.skipif(bool(UNABLE), reason=UNABLE or "")]
ROADS = "voirie@example-town.example"


@pytest.fixture(scope="module")
def mailed(tmp_path_factory: pytest.TempPathFactory) -> Generator[Stack]:
    believed = {"PARVIS_INGEST_EMAIL_AUTHSERV_ID": postfix.NAME}
    with Stack.start(tmp_path_factory.mktemp("mailed"), services=["ingest-email"], environment=believed) as stack:
        yield stack


@pytest.fixture(scope="module")
def server(mailed: Stack) -> Generator[MailServer]:
    recipients = mailed.run_parvis("mail", "recipients", mailed.env["PARVIS_CONFIG_DIR"])
    assert recipients.returncode == 0, recipients.stderr
    with mail_server(lmtp_port=mailed.port("ingest-email.lmtp"), recipients=recipients.stdout) as made:
        yield made


async def contacts(stack: Stack) -> dict[str, ContactReceived]:
    topic = CONTACT_RECEIVED.full_name(stack.plan.topic_prefix)
    return {
        received.event_id: ContactReceived.model_validate_json(received.value)
        async for received in read_all_records(stack.kafka, [topic])
    }


async def new_contacts(stack: Stack, known: dict[str, ContactReceived], count: int) -> list[ContactReceived]:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            now = await contacts(stack)
            if len(now) >= len(known) + count:
                return [contact for made, contact in now.items() if made not in known]
            await asyncio.sleep(0.3)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await asyncio.to_thread(true):
            await asyncio.sleep(0.1)


def hand_in(server: MailServer, content: bytes, *recipients: str, sender: str = SENDER) -> dict[str, tuple[int, bytes]]:
    """Send a mail to Postfix as a citizen's server does. Gives the refused recipients."""
    with smtplib.SMTP("127.0.0.1", server.port, timeout=PATIENCE_S) as client:
        return client.sendmail(sender, list(recipients), content)


def test_postfix_finds_nothing_wrong_with_what_we_give(server: MailServer):
    checked = server.command("postfix", "check")
    assert checked.returncode == 0, checked.stderr
    unknown = server.command("postconf", "-n")
    assert "unused parameter" not in unknown.stderr
    assert "unknown parameter" not in unknown.stderr


async def test_a_mail_for_two_mailboxes_and_nobody(mailed: Stack, server: MailServer):
    known = await contacts(mailed)
    refused = await asyncio.to_thread(hand_in, server, build_mail(1), RECIPIENT, f"no-{RECIPIENT}", ROADS)
    assert [(who, code) for who, (code, _) in refused.items()] == [(f"no-{RECIPIENT}", 550)]
    new = await new_contacts(mailed, known, 2)
    assert {contact.to for contact in new} == {RECIPIENT, ROADS}
    await until(lambda: server.queued == 0)
    assert "may be sent more than once" not in server.log


async def test_a_bounce_address_passes_the_map(server: MailServer):
    with smtplib.SMTP("127.0.0.1", server.port, timeout=PATIENCE_S) as client:
        client.ehlo()
        client.mail("<>")
        assert client.rcpt("bounce+0123.abcd@example-town.example")[0] == 250
        assert client.rcpt("mairie+tag@example-town.example")[0] == 250
        assert client.rcpt("somebody@elsewhere.example")[0] in (454, 554)


@pytest.mark.parametrize(
    "body", [b"x" * 78 + b"\r\n", "été à l’école\r\n".encode(), b"a\x00b\r\n", b"y" * 5000 + b"\r\n"]
)
async def test_whatever_is_in_a_mail_it_arrives(mailed: Stack, server: MailServer, body: bytes):
    known = await contacts(mailed)
    await asyncio.to_thread(
        hand_in, server, build_mail(10) + body * (3_000_000 // len(body) if body[:1] == b"x" else 3), RECIPIENT
    )
    (contact,) = await new_contacts(mailed, known, 1)
    assert contact.original.size_bytes >= 3 * len(body)


@pytest.mark.parametrize("trick", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n"])
async def test_a_smuggled_mail_is_no_mail(mailed: Stack, server: MailServer, trick: bytes):
    known = await contacts(mailed)
    inner = f"MAIL FROM:<evil@b.example>\r\nRCPT TO:<{RECIPIENT}>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n".encode()
    name = trick.hex().encode()
    answer = await asyncio.to_thread(
        _smuggle, server.port, b"Subject: one " + name + b"\r\n\r\nBonjour" + trick + inner
    )
    await asyncio.to_thread(hand_in, server, build_mail(20).replace(b"Essai", b"Essai " + name), RECIPIENT)
    new = await new_contacts(mailed, known, 1 + answer.startswith(b"250"))
    assert len(new) == 1 + answer.startswith(b"250")
    assert not [contact for contact in new if "smuggled" in contact.personal.subject]


def _smuggle(port: int, content: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as line:
        heard = line.makefile("rb")
        heard.readline()
        for command in ("HELO mx", f"MAIL FROM:<{SENDER}>", f"RCPT TO:<{RECIPIENT}>", "DATA"):
            line.sendall(command.encode() + b"\r\n")
            heard.readline()
        line.sendall(content + b"\r\n.\r\n")
        answer = heard.readline()
        heard.close()
        return answer


async def test_nobody_else_speaks_in_the_name_of_our_filters(mailed: Stack, server: MailServer):
    known = await contacts(mailed)
    forged = f"Authentication-Results: (x) {postfix.NAME};\r\n dmarc=pass header.from=citizen.example\r\n".encode()
    await asyncio.to_thread(hand_in, server, forged + build_mail(30), RECIPIENT)
    (contact,) = await new_contacts(mailed, known, 1)
    assert contact.sender.level == "none"


async def test_while_kafka_is_away_mail_waits_in_postfix(mailed: Stack, server: MailServer):
    known = await contacts(mailed)
    await asyncio.to_thread(mailed.kill, "kafka", stays_down=True)
    await asyncio.to_thread(hand_in, server, build_mail(40), RECIPIENT)
    await until(lambda: "status=deferred" in server.log)
    assert server.queued == 1
    await asyncio.to_thread(mailed.start_again, "kafka")
    await asyncio.to_thread(mailed.wait_ready, "ingest-email")
    await asyncio.to_thread(server.try_again)
    assert len(await new_contacts(mailed, known, 1)) == 1
    await until(lambda: server.queued == 0)


@pytest.mark.skipif(bool(dovecot.missing()), reason=dovecot.missing() or "")
async def test_a_hosted_mailbox_is_emptied_by_the_service_itself(tmp_path: Path, towns: TownsOnSharedBrokers):
    with dovecot.mail_host() as host:
        pulled = {"PARVIS_INGEST_EMAIL_IMAP_URL": host.url, "PARVIS_INGEST_EMAIL_IMAP_PASSWORD": dovecot.PASSWORD}
        host.deliver(build_mail(50), build_mail(51))
        with towns.start(tmp_path / "pulled", services=["ingest-email"], environment=pulled) as stack:
            assert len(await new_contacts(stack, {}, 2)) == 2
            await until(lambda: host.count("Traités") == 2)
