"""Tests that an address at which something did not arrive is struck out, and that the next one is proposed."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from services.desk.tests.test_pages import CASE, CONTACT, personal, routed

from parvis.common.contract.contact import ReplyAddress, Verification
from parvis.common.contract.delivery import DeliveryUpdated, make_delivery_id
from parvis.common.contract.reply import ReplyId, ReplyRequested, make_reply_id
from parvis.common.contract.routing.decisions import make_conversation_id
from parvis.common.testing import AN_INSTANT, a_contact

pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]
Published = Callable[[str], Awaitable[list[bytes]]]
Send = Callable[..., Awaitable[httpx.Response]]
CONVERSATION = make_conversation_id(CONTACT.contact_id, CONTACT.received_at)
MAIL = ReplyAddress(channel="email", address="camille@citoyens.example")
WITH_MAIL = a_contact(
    personal=personal(reply_channels=[{"channel": "sms", "address": "+33639980001"}, MAIL.model_dump()])
)


def not_delivered(reply_id: ReplyId | None = None, **changes: Any) -> DeliveryUpdated:
    reply = reply_id or make_reply_id("receipt", "1")
    values: dict[str, Any] = {
        "delivery_id": make_delivery_id(reply, "sms"), "reply_id": reply, "reference": CONTACT.reference,
        "conversation_id": CONVERSATION, "kind": "receipt", "channel": "sms", "attempt": 1, "state": "undelivered",
        "failure_class": "permanent", "at": AN_INSTANT + timedelta(minutes=1),
    }  # fmt: skip
    return DeliveryUpdated.model_validate(values | changes)


def answer_box(page: str) -> str:
    return page.split('id="end"')[1].split("</section>", maxsplit=1)[0]


async def test_a_dead_number_is_struck_out_and_the_next_address_is_proposed(
    agent: httpx.AsyncClient, project: Project, send: Send, published: Published
) -> None:
    await project(routed(WITH_MAIL), not_delivered())
    box = answer_box((await agent.get(CASE)).text)

    assert '<del><span class="nowrap">06 39 98 00 01</span></del>' in box
    assert 'name="channel" value=""' not in box
    assert 'value="email" checked' in box
    assert 'value="camille@citoyens.example"' in box

    await send(CASE, f"{CASE}/reply", text="Bonjour", channel="email", do="send", **{"address-email": MAIL.address})
    (value,) = await published("reply.requested")
    assert ReplyRequested.model_validate_json(value).personal.stated == (MAIL,)


async def test_without_another_address_the_agent_must_choose(
    agent: httpx.AsyncClient, project: Project, send: Send, published: Published
) -> None:
    await project(routed(CONTACT), not_delivered())
    box = answer_box((await agent.get(CASE)).text)
    assert "checked" not in box.split('name="then"')[0]
    answer = await send(CASE, f"{CASE}/reply", text="Bonjour", do="send")
    assert answer.status_code == 422
    assert '<a href="#f-channel">' in answer.text
    assert not await published("reply.requested")


@pytest.mark.parametrize("failure_class", ["too-long", "budget", "temporary", "refused"])
async def test_what_says_nothing_about_the_address_strikes_nothing_out(
    agent: httpx.AsyncClient, project: Project, failure_class: str
) -> None:
    await project(routed(CONTACT), not_delivered(state="failed", failure_class=failure_class))
    assert "<del>" not in answer_box((await agent.get(CASE)).text)


@pytest.mark.parametrize("dmarc", [None, "fail"])
async def test_who_writes_from_a_dead_address_revives_it_and_a_forged_sender_does_not(
    agent: httpx.AsyncClient, project: Project, dmarc: str | None
) -> None:
    sender = Verification.model_validate({"level": "none", "dmarc": dmarc})
    at = AN_INSTANT + timedelta(hours=1)
    later = a_contact(key="later", received_at=at, personal=personal(), sender=sender)
    again = routed(later, conversation_id=CONVERSATION, reference=CONTACT.reference, sequence=2)
    await project(routed(CONTACT), not_delivered(), again)
    assert ("<del>" in answer_box((await agent.get(CASE)).text)) == (dmarc == "fail")
