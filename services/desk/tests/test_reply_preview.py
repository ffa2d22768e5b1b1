"""Tests the preview of a reply: it shows what the citizen will read, and sends nothing."""

from collections.abc import Awaitable, Callable

import httpx
import pytest

from parvis.common.contract.routing.decisions import make_conversation_id
from parvis.common.testing import a_contact

from .test_pages import CASE, CONTACT, personal, routed

pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]
Published = Callable[[str], Awaitable[list[bytes]]]
Send = Callable[..., Awaitable[httpx.Response]]


async def test_a_preview_shows_the_additions_and_sends_nothing(
    agent: httpx.AsyncClient, project: Project, send: Send, published: Published
) -> None:
    await project(routed(CONTACT))
    answer = await send(CASE, f"{CASE}/reply", text="Bonjour {department}", channel="", do="preview")

    assert answer.status_code == 200
    assert "Bonjour {department}" in answer.text
    assert f"05 36 49 01 20. Réf. {CONTACT.reference}" in answer.text
    assert "Il reste une variable" in answer.text
    assert not await published("reply.requested")
    assert "Il reste" not in (await send(CASE, f"{CASE}/reply", text="Bonjour", channel="", do="preview")).text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Bonjour", "Envoyée en 1 SMS."),
        ("Bonjour. " * 40, "Envoyée en 3 SMS, facturés chacun."),
        ("Bonjour \N{GRINNING FACE}", "à 70 caractères"),
        ("Bonjour. " * 200, "Trop long pour un SMS"),
    ],
)
async def test_a_preview_shows_the_number_of_sms(
    agent: httpx.AsyncClient, project: Project, send: Send, text: str, sentence: str
) -> None:
    await project(routed(CONTACT))
    way = {"channel": "sms", "address-sms": "+33639980012"}
    answer = await send(CASE, f"{CASE}/reply", text=text, do="preview", **way)

    assert sentence in answer.text


async def test_a_preview_of_an_sms_shows_the_characters_that_are_sent(
    agent: httpx.AsyncClient, project: Project, send: Send
) -> None:
    await project(routed(CONTACT))
    answer = await send(CASE, f"{CASE}/reply", text="L’école « Haute » ferme…", channel="", do="preview")
    preview = answer.text.split('class="letter"')[1].split("</div>")[0]

    assert "’" not in preview
    assert "…" not in preview


async def test_a_preview_for_the_inbox_shows_the_reply_page_instead_of_an_sms(
    agent: httpx.AsyncClient, project: Project, send: Send
) -> None:
    inbox = {"channel": "inbox", "address": "+33639980001"}
    contact = a_contact(personal=personal(reply_channels=[inbox]))
    case = f"/cases/{make_conversation_id(contact.contact_id, contact.received_at)}"
    await project(routed(contact))
    answer = await send(case, f"{case}/reply", text="Bonjour.", channel="", do="preview")
    preview = answer.text.split('class="letter"')[1].split("</form>")[0]

    assert "Bonjour." in preview
    assert "05 36 49 01 20" in preview
    assert "un lien vers une page sécurisée" in preview
    assert "Envoyée en" not in preview
