"""Tests the agents' pages, and the rows and events that each action commits."""

import asyncio
import io
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from PIL import Image
from sqlalchemy import text

from parvis.common.contract.contact import (
    Attachment,
    ContactPersonalData,
    ContactPoint,
    ContactReceived,
    make_contact_id,
)
from parvis.common.contract.reply import ReplyRequested
from parvis.common.contract.routing.decisions import ContactRouted, Routing, make_conversation_id
from parvis.common.contract.routing.transfer import ConversationArrived, TransferRequested
from parvis.common.storage.blobs import BlobStore
from parvis.common.storage.postgres import Database
from parvis.common.testing import AN_INSTANT, a_contact

pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]
Published = Callable[[str], Awaitable[list[bytes]]]
Send = Callable[..., Awaitable[httpx.Response]]
OpenForm = Callable[..., Awaitable[dict[str, str]]]
PHONE = ContactPoint(kind="phone", value="+33639980001")


def a_png() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40, 30), "white").save(out, "PNG")
    return out.getvalue()


PNG = a_png()


def routed(contact: ContactReceived, *, department: str = "voirie", **changes: Any) -> ContactRouted:
    values: dict[str, Any] = {
        "conversation_id": make_conversation_id(contact.contact_id, contact.received_at),
        "sequence": 1,
        "department": department,
        "reference": contact.reference,
        "rule": "pothole",
        "rules_version": "v",
        "confidence": 1,
        "reason": {"fr": "Le message parle de voirie.", "en": "The message is about roads."},
        "received_at": contact.received_at,
        "answer_due_at": AN_INSTANT + timedelta(days=7),
        "decided_at": AN_INSTANT,
    }
    return ContactRouted(routing=Routing(**(values | changes)), contact=contact)


def personal(words: str = "Un trou rue Haute.", **more: Any) -> ContactPersonalData:
    return ContactPersonalData.model_validate({"from": PHONE, "text": words, "display_name": "Camille Exemple"} | more)


CONTACT = a_contact(personal=personal())
CASE = f"/cases/{make_conversation_id(CONTACT.contact_id, CONTACT.received_at)}"


async def test_nobody_sees_anything_without_login(browser: httpx.AsyncClient, project: Project) -> None:
    await project(routed(CONTACT))
    for path in ("/", "/queue", CASE, "/counter", f"{CASE}/contacts/{CONTACT.contact_id}/files/original"):
        answer = await browser.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert (await browser.post(f"{CASE}/take")).status_code == 303


async def test_a_forged_session_is_not_accepted(agent: httpx.AsyncClient) -> None:
    cookie = agent.cookies["parvis-desk"]
    agent.cookies.clear()
    agent.cookies.set("parvis-desk", "x" + cookie)

    assert (await agent.get("/queue")).headers["location"] == "/login"


async def test_another_name_for_this_machine_is_refused(agent: httpx.AsyncClient) -> None:
    assert (await agent.get("/queue", headers={"host": "evil.example"})).status_code == 400


async def test_the_queue_shows_open_cases(agent: httpx.AsyncClient, project: Project) -> None:
    await project(routed(CONTACT))
    page = (await agent.get("/queue")).text

    for shown in ("Un trou rue Haute. — Camille Exemple", "SMS", "09/03/2026", "Sans responsable", "À traiter"):
        assert shown in page


async def test_three_hundred_cases_are_paged_without_loss(agent: httpx.AsyncClient, project: Project) -> None:
    contacts = [a_contact(key=f"SM{n}") for n in range(300)]
    events = [
        routed(c, urgency=("normal", "high")[n % 2], answer_due_at=AN_INSTANT + timedelta(days=n % 7))
        for n, c in enumerate(contacts)
    ]
    await project(*events)

    seen: list[str] = []
    path: str | None = "/queue"
    while path:
        page = (await agent.get(path)).text
        seen += re.findall(r'href="/cases/([0-9a-f-]{36})"', page)
        after = re.search(r'href="(/queue\?show=open&amp;after=[^"]+)"', page)
        path = after[1].replace("&amp;", "&") if after else None
        assert len(page) < 80_000

    assert len(seen) == 300
    assert set(seen) == {make_conversation_id(c.contact_id, c.received_at) for c in contacts}
    order: dict[str, Any] = {
        make_conversation_id(e.contact.contact_id, e.contact.received_at): (e.routing.urgency, e.routing.answer_due_at)
        for e in events
    }
    assert [order[case] for case in seen] == sorted(order.values(), key=lambda key: (key[0], key[1]))


async def test_an_invalid_cursor_shows_the_first_page(agent: httpx.AsyncClient, project: Project) -> None:
    await project(routed(CONTACT))
    for after in ("x", "WzFd", "W251bGxd", "[" * 300, "WzEsICIyMDI2IiwgIjIwMjYiLCAieCJd"):
        assert "Un trou rue Haute." in (await agent.get("/queue", params={"after": after})).text


async def test_hostile_text_is_shown_and_never_obeyed(agent: httpx.AsyncClient, project: Project) -> None:
    hostile = '<script>alert(1)</script><img src=x onerror=alert(1)>{{ 7*7 }}"><b>'
    email = a_contact(channel="email", personal=personal(hostile, subject=hostile, display_name=hostile))
    await project(routed(email, reason={"fr": hostile}))
    for path in ("/queue", f"/cases/{make_conversation_id(email.contact_id, email.received_at)}"):
        page = (await agent.get(path)).text
        assert "<script>" not in page
        assert "<img src=x" not in page
        assert "&lt;script&gt;alert(1)" in page
        assert "{{ 7*7 }}" in page


async def test_a_case_shows_sender_answers_and_reason(agent: httpx.AsyncClient, project: Project) -> None:
    answers = {"problem": "pothole", "place": "12 rue des Lilas\nau fond"}
    form = a_contact(channel="web", procedure="road-report", personal=personal(answers=answers))
    await project(routed(form, procedure="road-report"))
    page = (await agent.get(f"/cases/{make_conversation_id(form.contact_id, form.received_at)}")).text

    for shown in (
        "Nid-de-poule ou chaussée abîmée",
        "12 rue des Lilas<br>au fond",
        "Camille Exemple",
        "06 39 98 00 01",
    ):
        assert shown in page
    assert "Le message parle de voirie." in page


async def test_another_departments_case_is_not_there(
    agent: httpx.AsyncClient, project: Project, send: Send, blobs: BlobStore
) -> None:
    made = make_contact_id("sms", "x", "secret")
    claim = await blobs.put(made, b"secret", "text/plain")
    foreign = a_contact(contact_id=made, original=claim, attachments=(Attachment.from_claim_check(claim),))
    await project(routed(foreign, department="social-ccas"), routed(CONTACT))
    case = f"/cases/{make_conversation_id(made, foreign.received_at)}"
    token = re.search(r'name="_csrf" value="([^"]+)"', (await agent.get("/queue")).text)
    assert token

    for path in (
        case,
        f"{case}/contacts/{made}/files/original",
        f"{case}/contacts/{made}/files/0",
        f"{CASE}/contacts/{made}/files/0",
    ):
        assert (await agent.get(path)).status_code == 404
    for what in ("take", "close"):
        assert (await agent.post(f"{case}/{what}", data={"_csrf": token[1]})).status_code == 404


async def test_a_case_that_left_says_where_it_is_and_nothing_more(agent: httpx.AsyncClient, project: Project) -> None:
    left = ConversationArrived(
        conversation_id=make_conversation_id(CONTACT.contact_id, CONTACT.received_at),
        sequence=2,
        reference=CONTACT.reference,
        from_department="voirie",
        to_department="etat-civil",
        reason="C'est un acte.",
        at=AN_INSTANT,
    )
    await project(routed(CONTACT), left)
    answer = await agent.get(CASE)

    assert answer.status_code == 410
    assert "État civil" in answer.text
    assert "trou" not in answer.text


async def test_a_letter_is_shown_as_its_scan(agent: httpx.AsyncClient, project: Project, blobs: BlobStore) -> None:
    made = make_contact_id("post", "box", "letter")
    claim = await blobs.put(made, PNG, "image/png")
    letter = a_contact(
        contact_id=made,
        channel="post",
        original=claim,
        contact_point_hash=None,
        personal=ContactPersonalData(text="Madame,"),
    )
    await project(routed(letter))
    case = f"/cases/{make_conversation_id(made, letter.received_at)}"
    page = (await agent.get(case)).text

    assert f'src="{case}/contacts/{made}/pictures/original/1.jpg"' in page
    assert (await agent.get(f"{case}/contacts/{made}/pictures/original/1.jpg")).status_code == 200
    turned = await agent.get(f"{case}/contacts/{made}/pictures/original/1.jpg?turn=90")
    assert Image.open(io.BytesIO(turned.content)).size == (30, 40)
    assert (await agent.get(f"{case}/contacts/{made}/pictures/original/1.jpg?turn=7")).status_code == 404
    assert "?turn=90" in page
    assert "Aucune adresse n’est connue" in page


async def test_a_form_sent_twice_makes_one_reply(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm, published: Published
) -> None:
    await project(routed(CONTACT))
    fields = await open_form(agent, CASE, f"{CASE}/reply") | {
        "text": "Bonjour, c'est réparé.",
        "channel": "",
        "then": "closed",
        "do": "send",
    }

    answers = await asyncio.gather(*(agent.post(f"{CASE}/reply", data=fields) for _ in range(5)))
    (value,) = await published("reply.requested")
    asked = ReplyRequested.model_validate_json(value)
    page = (await agent.get(CASE)).text

    assert {answer.status_code for answer in answers} == {303}
    assert asked.personal.text == "Bonjour, c'est réparé."
    assert asked.requested_by == "Dominique Exemple"
    assert "Notre réponse" in page
    assert "Clos" in page


async def test_a_reply_without_text_keeps_the_page(
    agent: httpx.AsyncClient, project: Project, send: Send, published: Published
) -> None:
    await project(routed(CONTACT))
    answer = await send(CASE, f"{CASE}/reply", text=" ", channel="post", **{"address-post": "3 rue Haute"}, do="send")

    assert answer.status_code == 422
    assert "Saisissez un texte." in answer.text
    assert "3 rue Haute" in answer.text
    assert not await published("reply.requested")


async def test_a_case_is_taken_released_closed_and_opened_again(
    agent: httpx.AsyncClient, project: Project, send: Send
) -> None:
    await project(routed(CONTACT))
    for what, shown in (("take", "Libérer"), ("close", "Rouvrir"), ("reopen", "Clore")):
        answer = await send(CASE, f"{CASE}/{what}")
        assert answer.status_code == 303
        assert shown in (await agent.get(answer.headers["location"])).text
    assert (await send(CASE, f"{CASE}/release")).headers["location"] == "/queue?notice=released"
    assert "Un trou rue Haute." in (await agent.get("/queue?show=unassigned")).text


async def test_a_transfer_is_asked_for_and_seen(
    agent: httpx.AsyncClient, project: Project, send: Send, published: Published
) -> None:
    await project(routed(CONTACT))
    answer = await send(CASE, f"{CASE}/transfer", to="etat-civil", reason="Demande d'acte.")
    (value,) = await published("transfer.requested")
    page = (await agent.get(answer.headers["location"])).text

    assert TransferRequested.model_validate_json(value).to_department == "etat-civil"
    assert "transfert demandé à État civil" in page
    assert (await send(CASE, f"{CASE}/transfer", to="etat-civil", reason=" ")).status_code == 422


async def test_a_form_of_another_site_or_session_does_nothing(
    agent: httpx.AsyncClient, project: Project, send: Send, published: Published
) -> None:
    await project(routed(CONTACT))
    page = (await agent.get(CASE)).text
    csrf = re.search(r'name="_csrf" value="([^"]+)"', page)
    assert csrf
    for fields, headers in (
        ({}, {}),
        ({"_csrf": "1.x"}, {}),
        ({"_csrf": csrf[1]}, {"sec-fetch-site": "cross-site"}),
        ({"_csrf": csrf[1]}, {"origin": "http://evil.example"}),
    ):
        assert (await agent.post(f"{CASE}/close", data=fields, headers=headers)).status_code == 403
    assert (await agent.post(f"{CASE}/explode", data={"_csrf": csrf[1]})).status_code == 404
    assert len(await published("case.updated")) == 1


VISIT = {
    "channel": "counter",
    "procedure": "road-report",
    "text": "Le lampadaire est éteint.",
    "name": "Andrée Exemple",
    "reply-channel": "post",
    "reply-post": "3 rue Haute\n00100 Val-Exemple",
    "language": "fr",
}


async def test_a_visit_becomes_a_contact_once(
    agent: httpx.AsyncClient, send: Send, published: Published, database: Database
) -> None:
    form = (await agent.get("/counter")).text.split('action="/counter"')[1]
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form))
    answers = await asyncio.gather(*(agent.post("/counter", data=hidden | VISIT) for _ in range(5)))
    (value,) = await published("contact.received")
    contact = ContactReceived.model_validate_json(value)

    assert {answer.headers.get("location") for answer in answers} == {f"/counter/{contact.reference}"}
    assert (contact.channel, contact.sender.level, contact.procedure) == ("counter", "staff", "road-report")
    assert contact.to == "voirie"
    assert contact.contact_point_hash is None
    assert [w.address for w in contact.personal.reply_channels] == ["Andrée Exemple\n3 rue Haute\n00100 Val-Exemple"]
    assert contact.reference in (await agent.get(f"/counter/{contact.reference}")).text
    async with database.transaction() as connection:
        assert await connection.scalar(text("select count(*) from desk.counter_contact")) == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"text": " "}, "text"),
        ({"phone": "12"}, "phone"),
        ({"email": "nobody"}, "email"),
        ({"reply-channel": "sms"}, "reply-sms"),
        ({"reply-channel": "post", "reply-post": "3 rue Haute"}, "reply-post"),
    ],
)
async def test_a_problem_is_shown_beside_its_field(
    agent: httpx.AsyncClient, send: Send, changes: dict[str, str], field: str
) -> None:
    answer = await send("/counter", "/counter", **(VISIT | {"name": ""} | changes))

    assert answer.status_code == 422
    assert f'<a href="#f-{field}">' in answer.text
    assert f'id="f-{field}"' in answer.text
    assert "3 rue Haute" in answer.text


async def test_a_second_visit_stays_in_the_case(
    agent: httpx.AsyncClient, project: Project, send: Send, published: Published
) -> None:
    await project(routed(CONTACT))
    case = make_conversation_id(CONTACT.contact_id, CONTACT.received_at)
    await send(
        f"/counter?conversation={case}&reference={CONTACT.reference}", "/counter", **VISIT, reference=CONTACT.reference
    )
    (value,) = await published("contact.received")

    assert ContactReceived.model_validate_json(value).thread.conversation_id == case


async def test_a_call_is_noted(agent: httpx.AsyncClient, project: Project, send: Send) -> None:
    called = a_contact(key="call", channel="phone", personal=personal())
    await project(routed(called))
    case = f"/cases/{make_conversation_id(called.contact_id, called.received_at)}"
    answer = await send(case, f"{case}/call", note="Rappeler lundi.", then="closed")

    assert answer.status_code == 303
    assert "Rappeler lundi." in (await agent.get(case)).text


async def test_a_reference_finds_its_case(agent: httpx.AsyncClient, project: Project) -> None:
    await project(routed(CONTACT))
    typed = CONTACT.reference.lower().replace("-", " ")

    assert (await agent.get("/search", params={"q": typed})).headers["location"] == CASE
    assert "Rien trouvé" in (await agent.get("/search", params={"q": "P-0000"})).text
