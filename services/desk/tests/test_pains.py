"""Tests, one by one, the pains that agents of other desks report, where a page or its forms decide; tests/browser/test_desk_pains.py has the others."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from html import unescape

import httpx
import pytest
from services.desk.tests.test_divisions import EVENTS
from services.desk.tests.test_pages import CASE, CONTACT, personal, routed
from services.desk.tests.test_search import a_message
from services.desk.tests.test_sessions_and_rights import log_in, post

from parvis.common.contract.contact import Attachment, ClaimCheck, ContactPoint, ReplyAddress
from parvis.common.contract.reply import ReplyRequested
from parvis.common.contract.routing.decisions import make_conversation_id
from parvis.common.contract.routing.split_and_link import ConversationLinked
from parvis.common.testing import AN_INSTANT, a_contact
from parvis.desk.decide.access_rights import ROLE_ACTIONS
from parvis.desk.models.accounts import ROLES

pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]
Published = Callable[[str], Awaitable[list[bytes]]]
OpenForm = Callable[..., Awaitable[dict[str, str]]]
Send = Callable[..., Awaitable[httpx.Response]]
CONVERSATION = CASE.removeprefix("/cases/")
TYPED = {
    "text": "Une équipe passera jeudi.",
    "channel": "email",
    "address-email": "c@citoyens.example",
    "then": "closed",
}
OTHER = routed(a_contact(key="other", personal=personal("Un banc cassé.")))
OTHER_CASE = f"/cases/{OTHER.routing.conversation_id}"


async def requested(published: Published) -> ReplyRequested:
    (value,) = await published("reply.requested")
    return ReplyRequested.model_validate_json(value)


async def keep(browser: httpx.AsyncClient, open_form: OpenForm, **fields: str) -> None:
    await browser.post(f"{CASE}/draft", data=await open_form(browser, CASE, f"{CASE}/draft") | TYPED | fields)


async def test_1_a_draft_stays_when_a_colleague_takes_the_case(
    agent: httpx.AsyncClient, colleague: httpx.AsyncClient, project: Project, open_form: OpenForm
) -> None:
    await project(routed(CONTACT))
    await keep(agent, open_form)
    await colleague.post(f"{CASE}/take", data=await open_form(colleague, CASE, f"{CASE}/take"))

    assert f"{TYPED['text']}</textarea>" in (await agent.get(CASE)).text


async def test_2_a_draft_stays_when_its_case_is_linked_or_split(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm
) -> None:
    await project(*EVENTS[:3])
    case = f"/cases/{EVENTS[0].routing.conversation_id}"  # pyright: ignore[reportAttributeAccessIssue]
    await agent.post(f"{case}/draft", data=await open_form(agent, case, f"{case}/draft") | TYPED)
    linked = ConversationLinked(
        conversation_id=EVENTS[0].routing.conversation_id, sequence=5, reference=CONTACT.reference, department="voirie",
        other_conversation=OTHER.routing.conversation_id, other_reference=OTHER.routing.reference, other_department="voirie",
        at=AN_INSTANT,
    )  # fmt: skip
    await project(OTHER, *EVENTS[3:], linked)

    assert f"{TYPED['text']}</textarea>" in (await agent.get(case)).text


@pytest.mark.parametrize("moment", ["before the click", "after the click"])
async def test_3_an_answer_goes_to_the_address_that_was_shown_whatever_the_citizen_changes(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm, published: Published, moment: str
) -> None:
    wish = (ReplyAddress(channel="email", address="ailleurs@citoyens.example"),)
    later = a_contact(key="later", personal=personal("Écrivez-moi ailleurs.", reply_channels=wish))
    change = routed(later, conversation_id=CONVERSATION, reference=CONTACT.reference, sequence=2)
    await project(routed(CONTACT))
    form = await open_form(agent, CASE, f"{CASE}/reply") | TYPED | {"channel": "", "do": "send"}
    if moment == "before the click":
        await project(change)
        assert (await agent.post(f"{CASE}/reply", data=form)).status_code == 409
        assert not await published("reply.requested")
        return
    await agent.post(f"{CASE}/reply", data=form)
    await project(change)
    personal_part = (await requested(published)).personal
    assert [point.value for point in personal_part.contact_points] + [to.address for to in personal_part.stated] == [
        "+33639980001"
    ]


async def test_4_an_internal_note_is_not_taken_for_an_answer(
    agent: httpx.AsyncClient, project: Project, published: Published, send: Send
) -> None:
    await project(routed(CONTACT))
    page = (await agent.get(CASE)).text
    note = page.split('<details class="panel note"')[1].split("</details>")[0]

    assert not note.startswith(' id="note" open')  # nobody types into it by habit
    assert "La personne ne reçoit jamais ce texte." in note
    assert re.findall(r"<button[^>]*>([^<]*)<", note) == ["Enregistrer la note", "Enregistrer comme appel"]
    await send(CASE, f"{CASE}/note", internal="Prudence.", text="")
    assert not await published("reply.requested")


async def test_5_nobody_else_of_a_conversation_is_written_to(
    agent: httpx.AsyncClient, project: Project, send: Send, published: Published
) -> None:
    friend = ContactPoint(kind="email", value="voisine@citoyens.example")
    joined = a_contact(
        key="joined", channel="email", personal=personal("Moi aussi.", **{"from": friend}), contact_point_hash="v1.x"
    )
    await project(
        routed(CONTACT),
        routed(
            joined, conversation_id=CONVERSATION, reference=CONTACT.reference, sequence=2, matched=("other person",)
        ),
    )
    await send(CASE, f"{CASE}/reply", text="Bonjour", channel="", do="send")

    assert friend.value not in (await requested(published)).model_dump_json()


async def test_6_no_field_keeps_what_was_typed_in_the_case_before(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm
) -> None:
    await project(routed(CONTACT), OTHER)
    await agent.get("/queue")
    form = await open_form(agent, CASE, f"{CASE}/reply")
    answered = await agent.post(f"{CASE}/reply", data=form | TYPED | {"do": "next"})

    page = (await agent.get(answered.headers["location"])).text
    fields = page.split('<form class="two"')[1]
    assert answered.headers["location"].startswith(OTHER_CASE)
    assert TYPED["address-email"] not in fields
    assert TYPED["text"] not in fields
    assert 'name="channel" value="" checked' in fields


async def test_7_an_answer_is_signed_by_whoever_sends_it(
    agent: httpx.AsyncClient, colleague: httpx.AsyncClient, project: Project, open_form: OpenForm, published: Published
) -> None:
    await project(routed(CONTACT))
    await keep(colleague, open_form)
    form = await open_form(agent, CASE, f"{CASE}/reply")
    await agent.post(f"{CASE}/reply", data=form | TYPED | {"do": "send"})

    request = await requested(published)
    assert request.personal.variables["agent"] == "Dominique Exemple"
    assert "Claude" not in request.model_dump_json()


@pytest.mark.parametrize("typed", ["Devis", "LANTERNE", "06 39 98 47 11", "Célestine", "plan-du-jardin", "bitume"])
async def test_10_search_finds_subject_number_name_file_and_words_under_an_address(
    agent: httpx.AsyncClient, project: Project, typed: str
) -> None:
    stored = ClaimCheck(blob="x/y", sha256="0" * 64, size_bytes=1, media_type="application/pdf")
    message = a_message(
        "M1", "Une lanterne et du bitume.", point=ContactPoint(kind="phone", value="+33639984711"),
        display_name="Célestine Exemple", subject="Devis 2026", file_names=("plan-du-jardin.pdf",),
    )  # fmt: skip
    with_file = message.contact.model_copy(update={"attachments": (Attachment.from_claim_check(stored),)})
    message = message.model_copy(update={"contact": with_file})
    await project(
        message, a_message("M2", "Rien de tout cela.", point=ContactPoint(kind="phone", value="+33639984712"))
    )
    page = (await agent.get("/search", params={"q": typed})).text

    assert f'href="/cases/{message.routing.conversation_id}' in page
    assert "1 dossier · 1 message" in page


async def test_11_a_sign_for_any_text_searches_nothing(agent: httpx.AsyncClient, project: Project) -> None:
    await project(routed(CONTACT))
    for typed in ("%", "%trou%", "_", "*"):
        page = await agent.get("/search", params={"q": typed})
        assert page.status_code == 200
        assert (CASE in page.text) == ("trou" in typed)


async def test_15_nobody_holds_a_case_locked(
    agent: httpx.AsyncClient, colleague: httpx.AsyncClient, project: Project, send: Send, open_form: OpenForm
) -> None:
    await project(routed(CONTACT))
    await colleague.post(f"{CASE}/take", data=await open_form(colleague, CASE, f"{CASE}/take"))
    await colleague.get(CASE)

    answered = await send(CASE, f"{CASE}/reply", text="Une équipe passera.", channel="", do="send")
    assert answered.status_code == 303


async def test_17_who_needs_no_case_reads_none_and_no_case_is_pushed_away_without_a_reason(
    browser: httpx.AsyncClient, project: Project, open_form: OpenForm
) -> None:
    await project(routed(CONTACT))
    for role in (role for role in ROLES if "case.read" not in ROLE_ACTIONS[role]):
        await log_in(browser, f"Sacha {role}", role=role)
        for path in ("/queue", CASE, "/search?q=trou"):
            shown = await browser.get(path)
            assert shown.status_code in (303, 403, 404), (role, path)
            assert "Un trou" not in shown.text
    await log_in(browser, "Dominique Exemple")
    form = await open_form(browser, CASE, f"{CASE}/transfer") | {"to": "etat-civil", "reason": " "}
    assert (await browser.post(f"{CASE}/transfer", data=form)).status_code == 422


async def test_18_who_leaves_the_town_is_out_at_the_next_click(browser: httpx.AsyncClient) -> None:
    leaver = await log_in(browser, "Camille Partante")
    await log_in(browser, "Andrée Exemple", role="administrator")
    section = next(p for p in (await browser.get("/accounts")).text.split("<section")[1:] if ">Camille Partante" in p)
    state = re.search(r"/accounts/[^/]+/state", section)
    assert state
    await post(browser, "/accounts", state[0], do="disable")
    browser.cookies.clear()
    browser.cookies.set("parvis-desk", leaver)

    assert (await browser.get("/queue")).headers["location"] == "/login"


@pytest.mark.parametrize("role", ROLES)
async def test_19_no_link_that_a_role_sees_is_refused(browser: httpx.AsyncClient, project: Project, role: str) -> None:
    await project(routed(CONTACT))
    await log_in(browser, f"Sacha {role}", role=role)
    first = await browser.get("/", follow_redirects=True)
    assert first.status_code == 200
    await no_link_is_refused(browser, first.text)
    if "case.read" in ROLE_ACTIONS[role]:  # pyright: ignore[reportArgumentType]
        await no_link_is_refused(browser, (await browser.get(CASE)).text)


async def test_19_who_may_only_read_a_case_sees_no_button_that_changes_it(
    browser: httpx.AsyncClient, project: Project
) -> None:
    contact = a_contact(procedure="school-meals", personal=personal("Ma fille."))
    await project(routed(contact, procedure="school-meals"))
    case = make_conversation_id(contact.contact_id, contact.received_at)
    await log_in(browser, "Sacha Exemple", confidential="none")
    await post(browser, f"/break-glass/{case}", f"/break-glass/{case}", reason="La police cherche l’enfant.")
    page = (await browser.get(f"/cases/{case}")).text

    assert "Ma fille." in page
    assert not re.findall(r"<(?:button|textarea|select)[^>]*", page.split('<form class="two"')[1])
    await no_link_is_refused(browser, page)


async def no_link_is_refused(browser: httpx.AsyncClient, page: str) -> None:
    links = {unescape(link) for link in re.findall(r'<a [^>]*href="(/[^"#]*)', page)}
    answers = await asyncio.gather(*(browser.get(link) for link in sorted(links)))
    refused = [str(answer.url) for answer in answers if answer.status_code in (401, 403, 404)]
    assert links
    assert not [link for link in refused if "/files/" not in link and "/pictures/" not in link]


async def test_20_every_single_key_can_be_switched_off_and_is_explained(
    agent: httpx.AsyncClient, project: Project
) -> None:
    await project(routed(CONTACT))
    page = (await agent.get(CASE)).text
    assert 'id="keys-off"' in page
    explained = set(re.findall(r"<kbd>([^<]*)</kbd>", page))
    assert set(re.findall(r'data-key="([^"]*)"', page)) <= explained
