"""Tests that a letter is never shown as delivered: it is to print, handed over, posted or returned."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from services.desk.tests.test_pages import CASE, CONTACT, routed

from parvis.common.contract.delivery import DeliveryUpdated, make_delivery_id
from parvis.common.contract.reply import ReplyId, ReplyKind, ReplyRequested, make_reply_id
from parvis.common.contract.routing.decisions import make_conversation_id
from parvis.common.testing import AN_INSTANT

pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]
Published = Callable[[str], Awaitable[list[bytes]]]
Send = Callable[..., Awaitable[httpx.Response]]
HOME = "Camille Exemple\n3 rue Haute\n00100 Val-Exemple"


def delivery(
    reply_id: ReplyId, kind: ReplyKind, channel: str, state: str, stage: str | None, **changes: Any
) -> DeliveryUpdated:
    values: dict[str, Any] = {
        "delivery_id": make_delivery_id(reply_id, channel), "reply_id": reply_id, "reference": CONTACT.reference,
        "conversation_id": make_conversation_id(CONTACT.contact_id, CONTACT.received_at), "kind": kind, "channel": channel,
        "attempt": 1, "state": state, "stage": stage, "at": AN_INSTANT,
    }  # fmt: skip
    return DeliveryUpdated.model_validate(values | changes)


def letter(reply: ReplyRequested, state: str, stage: str | None, **changes: Any) -> DeliveryUpdated:
    return delivery(reply.reply_id, "answer", "post", state, stage, **changes)


async def test_a_letter_shows_how_far_it_has_come(
    agent: httpx.AsyncClient, project: Project, send: Send, published: Published
) -> None:
    await project(routed(CONTACT))
    answer = {"text": "C’est fait.", "channel": "post", "then": "closed", "do": "send"}
    await send(CASE, f"{CASE}/reply", **answer, **{"address-post": HOME})
    (value,) = await published("reply.requested")
    reply = ReplyRequested.model_validate_json(value)
    later = {"at": AN_INSTANT + timedelta(days=1)}
    for event, french, english in (
        (letter(reply, "accepted", "to-print"), "à imprimer", "to be printed"),
        (letter(reply, "accepted", "handed-over"), "remise à l’imprimeur le 02/03/2026", "handed to the print shop on"),
        (letter(reply, "accepted", "posted", **later), "postée le 03/03/2026", "posted on"),
        (letter(reply, "accepted", "to-print"), "postée le 03/03/2026", "posted on"),  # repeated
        (letter(reply, "undelivered", "returned", failure_class="unreachable"), "revenue le 02/03/2026", "returned on"),
    ):
        await project(event)
        page = (await agent.get(CASE)).text.split('<li class="event ours">')[1].split("</li>")[0]
        assert french in page
        assert ">remise<" not in page
        assert english in (await agent.get(CASE, headers={"accept-language": "en"})).text
    assert "non remis" in (await agent.get("/queue")).text


async def test_what_is_said_of_a_notice_agrees_with_it(agent: httpx.AsyncClient, project: Project) -> None:
    await project(routed(CONTACT))
    notices: list[tuple[ReplyKind, str, str, str | None, str, str]] = [
        ("registration", "sms", "delivered", None, "Accusé d’enregistrement", "remis"),
        ("receipt", "post", "accepted", "posted", "Accusé de réception", "posté le 02/03/2026"),
        ("question", "email", "delivered", None, "Question", "remise"),
    ]
    for kind, channel, state, stage, name, said in notices:
        await project(delivery(make_reply_id(kind, channel), kind, channel, state, stage))
        page = (await agent.get(CASE)).text
        assert f">{said}<" in page.split(f'<li class="event small">{name},')[1].partition("</li>")[0]


async def test_a_letter_of_an_older_event_is_not_called_delivered(
    agent: httpx.AsyncClient, project: Project, send: Send, published: Published
) -> None:
    await project(routed(CONTACT))
    answer = {"text": "C’est fait.", "channel": "post", "then": "closed", "do": "send"}
    await send(CASE, f"{CASE}/reply", **answer, **{"address-post": HOME})
    (value,) = await published("reply.requested")
    await project(letter(ReplyRequested.model_validate_json(value), "delivered", None))

    page = (await agent.get(CASE)).text.split('<li class="event ours">')[1].split("</li>")[0]
    assert "confiée à l’impression" in page
    assert ">remise<" not in page
