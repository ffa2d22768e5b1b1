"""Tests a reply through the real Postfix to a foreign server: it is accepted, and its DKIM signature verifies."""

import asyncio
import subprocess
from collections.abc import AsyncGenerator, Generator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from services.notifier.tests.test_mail import MAIL_DKIM, rsa_key

from parvis.common.contract.contact import ConversationId, make_contact_id
from parvis.common.contract.delivery import make_delivery_id
from parvis.common.contract.mail_tokens import reply_id_of_bounce_address
from parvis.common.contract.references import make_reference
from parvis.common.contract.reply import ReplyPersonalData, ReplyRequested, make_reply_id
from parvis.common.testing import A_KEY
from parvis.common.town.loading import load_town_config
from parvis.common.town.templates import load_templates
from parvis.notifier.models.delivery import Delivery
from parvis.notifier.models.message import AttachedFile, RenderedMessage
from parvis.notifier.render.dkim import DkimSigner, read_key
from parvis.notifier.render.message_renderer import MessageRenderer
from parvis.notifier.send.email import SmtpSender
from tests.mail import submission
from tests.mail.submission import PASSWORD, USER, Relay
from tests.patience import PATIENCE_S

UNABLE = submission.missing()
pytestmark = [pytest.mark.journey, pytest.mark.skipif(bool(UNABLE), reason=UNABLE or "")]
ROOT = Path(__file__).parents[2]
DOMAIN = "example-town.example"
AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def relay() -> Generator[Relay]:
    with submission.relay() as made:
        yield made


@pytest.fixture
async def email(relay: Relay) -> AsyncGenerator[SmtpSender]:
    made = SmtpSender(
        host="127.0.0.1", port=relay.port, username=USER, password=PASSWORD, ca_file=relay.ca_file, domain=DOMAIN, key=A_KEY,
        timeout_s=20,
    )  # fmt: skip
    yield made
    await made.close()


@pytest.fixture(scope="module")
def renderer() -> MessageRenderer:
    town_config = load_town_config(ROOT / "config" / "example-town")
    return MessageRenderer(town_config, load_templates(ROOT / "config" / "example-town", town_config), A_KEY)


def parcel(
    renderer: MessageRenderer, signer: DkimSigner, address: str, number: int = 1, *files: AttachedFile
) -> RenderedMessage:
    contact = make_contact_id("email", DOMAIN, f"{address}{number}")
    reply = ReplyRequested(
        reply_id=make_reply_id("answer", f"{address}{number}"), conversation_id=ConversationId(contact), reference=make_reference(contact),
        kind="answer", department="voirie", channel_of_contact="email", template="answer", language="fr", legal=False,
        send_at=AT, requested_at=AT, requested_by="a test",
        personal=ReplyPersonalData(text=f"Bonjour,\n\n.\nC’est réparé, n° {number}.\n" + "é" * 1200),
    )  # fmt: skip
    delivery = Delivery(
        delivery_id=make_delivery_id(reply.reply_id, "email"), reply_id=reply.reply_id, conversation_id=reply.conversation_id,
        reference=reply.reference, kind="answer", channel="email", address=address, address_hash="", state="reserved",
        attempt=1, send_at=AT,
    )  # fmt: skip
    signing = MessageRenderer(renderer.town_config, renderer.templates, renderer.key, signer=signer)
    return signing.render(reply, delivery, AT, files)


async def arrived(relay: Relay, count: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while len(relay.elsewhere.mails) < count:
            await asyncio.sleep(0.05)


@pytest.mark.skipif(not MAIL_DKIM, reason="Mail::DKIM is not installed: make system")
@pytest.mark.parametrize("address", ["celeste@citizens.example", "zoé@citizens.example", "zoe@café.example"])
async def test_postfix_takes_a_mail_and_its_signature_is_believed_where_it_arrives(
    relay: Relay, email: SmtpSender, renderer: MessageRenderer, tmp_path: Path, address: str
) -> None:
    private, record = rsa_key()
    before = len(relay.elsewhere.mails)
    sent = parcel(renderer, DkimSigner(DOMAIN, (read_key("s2026", private),)), address, 1, AttachedFile("plan.pdf", "application/pdf", bytes(range(256)) * 99))  # fmt: skip
    assert (await email.send(sent)).state == "accepted", relay.server.log
    await arrived(relay, before + 1)
    mail = relay.elsewhere.mails[-1]
    assert reply_id_of_bounce_address(mail.sender, A_KEY) == sent.delivery.reply_id
    assert mail.is_international == (not address.partition("@")[0].isascii())
    assert b"by mx.example-town.example (Postfix)" in mail.content
    (tmp_path / "zone").write_text(f"s2026._domainkey.{DOMAIN} {record}\n")
    check = ROOT / "services" / "notifier" / "tests" / "dkim_check.pl"
    told = await asyncio.to_thread(
        subprocess.run, ["perl", str(check), str(tmp_path / "zone")], input=mail.content, capture_output=True, timeout=PATIENCE_S, check=True
    )  # fmt: skip
    assert told.stdout.decode() == "s2026: pass\n"


async def test_twenty_mails_leave_over_one_connection(
    relay: Relay, email: SmtpSender, renderer: MessageRenderer
) -> None:
    before, connections = len(relay.elsewhere.mails), relay.server.log.count(": connect from")
    for number in range(20):
        mail = parcel(renderer, DkimSigner(DOMAIN), "celeste@citizens.example", number)
        assert (await email.send(mail)).state == "accepted"
    await arrived(relay, before + 20)
    assert relay.server.log.count(": connect from") - connections == 1


async def test_without_the_right_login_postfix_takes_nothing(relay: Relay, renderer: MessageRenderer) -> None:
    wrong = SmtpSender(
        host="127.0.0.1", port=relay.port, username=USER, password="guessed", ca_file=relay.ca_file, domain=DOMAIN, key=A_KEY,
        timeout_s=20,
    )  # fmt: skip
    outcome = await wrong.send(parcel(renderer, DkimSigner(DOMAIN), "celeste@citizens.example"))
    await wrong.close()
    assert (outcome.state, outcome.failure_class) == ("retry", "temporary")
