"""Tests the page of a case with an unconfirmed wish: the citizen's sentence, and the button by which an agent confirms it."""

from collections.abc import Awaitable, Callable

import httpx
import pytest

from parvis.common.contract.contact import ContactPersonalData, ContactPoint, ContactReceived, ReplyAddress
from parvis.common.contract.find_addressee import OTHER_REPLY_TO
from parvis.common.contract.reply import ReplyRequested
from parvis.common.contract.routing.decisions import ContactRouted, make_conversation_id
from parvis.common.testing import a_contact
from parvis.common.text.reply_channels import find_stated_reply_channels

from .conftest import Project, Published, Send
from .test_pages import routed

pytestmark = pytest.mark.asyncio(loop_scope="module")
OpenForm = Callable[..., Awaitable[dict[str, str]]]
INES, WISHED = "ines@people.example", "+33639980077"
ASKS = "Répondez-moi par SMS\nau 06 39 98 00 77, s’il vous plaît."
TEXT = f"Bonjour, merci pour la lettre.\n\nLe trou grandit. {ASKS} Je suis absente le 3."


def mail(key: str, text: str) -> ContactReceived:
    point = ContactPoint(kind="email", value=INES)
    stated = find_stated_reply_channels(text, sender=point)
    personal = ContactPersonalData.model_validate({"from": point, "text": text, "reply_channels": stated})
    return a_contact(key=key, channel="email", personal=personal)


FIRST = mail("wish-1", "Un trou rue Haute.")
WISH = mail("wish-2", TEXT)
CONVERSATION = make_conversation_id(FIRST.contact_id, FIRST.received_at)
CASE = f"/cases/{CONVERSATION}"


def second() -> ContactRouted:
    return routed(WISH, conversation_id=CONVERSATION, reference=FIRST.reference, sequence=2)


async def answered_at(published: Published) -> list[str]:
    personal = ReplyRequested.model_validate_json((await published("reply.requested"))[-1]).personal
    return [*(to.address for to in personal.stated), *(point.value for point in personal.contact_points)]


async def test_the_wished_address_is_answered_only_after_the_click(
    agent: httpx.AsyncClient, project: Project, send: Send, published: Published
) -> None:
    await project(routed(FIRST), second())
    page = (await agent.get(CASE)).text
    assert "Adresse à confirmer\xa0: 06 39 98 00 77<" in page
    assert f'<blockquote class="words">{" ".join(ASKS.split())}</blockquote>' in page
    await send(CASE, f"{CASE}/reply", text="Nous venons.", then="open")
    assert await answered_at(published) == [INES]

    confirmed = await send(CASE, f"{CASE}/wish", contact=WISH.contact_id)
    assert confirmed.headers["location"] == f"{CASE}?notice=wish_confirmed#notice"
    page = (await agent.get(confirmed.headers["location"])).text
    assert "Adresse confirmée" in page
    assert f'action="{CASE}/wish"' not in page
    assert "Dominique Exemple a confirmé" in page
    await send(CASE, f"{CASE}/reply", text="C'est fait.", then="open")
    assert await answered_at(published) == [WISHED, INES]


async def test_the_button_needs_the_token_of_its_own_session(
    agent: httpx.AsyncClient, project: Project, send: Send, open_form: OpenForm
) -> None:
    await project(routed(FIRST), second())
    wish = await open_form(agent, CASE, f"{CASE}/wish") | {"contact": WISH.contact_id}
    agent.cookies.clear()
    await send("/login", "/login", name="Claude Exemple", department="voirie")
    assert (await agent.post(f"{CASE}/wish", data=wish)).status_code == 403
    assert f'action="{CASE}/wish"' in (await agent.get(CASE)).text


async def test_a_message_without_an_unproved_wish_has_nothing_to_confirm(
    agent: httpx.AsyncClient, project: Project, send: Send
) -> None:
    await project(routed(FIRST), second())
    assert (await send(CASE, f"{CASE}/wish", contact=FIRST.contact_id)).status_code == 422


async def test_an_unproved_reply_to_is_shown_as_such_and_nobody_is_answered_before_the_click(
    agent: httpx.AsyncClient, project: Project, send: Send, published: Published
) -> None:
    to = ReplyAddress(channel="email", address="someone@else.example")
    personal = FIRST.personal.model_copy(update={"reply_channels": (to,)})
    await project(routed(FIRST.model_copy(update={"personal": personal, "remarks": (OTHER_REPLY_TO,)})))
    page = (await agent.get(CASE)).text
    assert "Reply-To" in page.split("Adresse à confirmer")[1]
    assert "Aucune adresse n’est confirmée" in page
    assert (await send(CASE, f"{CASE}/reply", text="Votre dossier", then="open")).status_code == 422
    await send(CASE, f"{CASE}/wish", contact=FIRST.contact_id)
    await send(CASE, f"{CASE}/reply", text="Votre dossier", then="open")
    assert await answered_at(published) == [to.address]
