"""Tests the search over people, references and messages, on the real PostgreSQL."""

import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from parvis.common.contract.contact import ContactPersonalData, ContactPoint, ContactReceived
from parvis.common.contract.routing.decisions import ContactRouted, Routing, make_conversation_id
from parvis.common.contract.routing.transfer import ConversationArrived
from parvis.common.storage.postgres import Database
from parvis.common.testing import AN_INSTANT, a_contact
from parvis.common.town.models import TownConfig
from parvis.desk.decide.search_query import parse_search
from parvis.desk.store.search_indexing import rebuild_index
from parvis.desk.store.search_queries import SearchResult, search_messages

pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]
Send = Callable[..., Awaitable[httpx.Response]]


def a_message(key: str, words: str = "", *, department: str = "voirie", **more: Any) -> ContactRouted:
    """A routed contact; `more` are members of its personal data, or of the contact."""
    own = {name: more.pop(name) for name in ("channel", "procedure", "language", "received_at") if name in more}
    point = more.pop("point", ContactPoint(kind="phone", value="+33639980001"))
    values = {"from": point, "text": words, "display_name": "Camille Exemple"} | more
    contact = a_contact(key=key, personal=ContactPersonalData.model_validate(values), **own)
    return ContactRouted(contact=contact, routing=a_routing(contact, department))


def a_routing(contact: ContactReceived, department: str) -> Routing:
    return Routing(
        conversation_id=make_conversation_id(contact.contact_id, contact.received_at), sequence=1, department=department,
        reference=contact.reference, rule="r", rules_version="v", confidence=1, reason={"fr": "Voirie.", "en": "Roads."},
        received_at=contact.received_at, answer_due_at=AN_INSTANT + timedelta(days=7), decided_at=contact.received_at,
    )  # fmt: skip


async def search(database: Database, typed: str, departments: Sequence[str] = ("voirie",)) -> SearchResult:
    async with database.transaction() as connection:
        return await search_messages(connection, parse_search(typed), departments)


async def found(database: Database, typed: str, departments: Sequence[str] = ("voirie",)) -> set[str]:
    return {hit.entry_id for hit in (await search(database, typed, departments)).hits}


@pytest.mark.parametrize(
    ("written", "typed"),
    [
        ("Le trottoir est cassé.", "cassé"),
        ("Le trottoir est cassé.", "casse"),
        ("Le trottoir est cassé.", "cassées trottoirs"),
        ("La dalle est cassée", "CASSÉ"),
        ("La première dalle", "premier"),
        ("des nids-de-poule devant l’école", "ecole nid"),
        ("des nids-de-poule devant l’école", "nids-de-poule à l'école"),
        ("un œuf jeté", "oeuf"),
        ("Facture n° 2026-118", "2026-118"),
        ("Mon numéro : 06.39.98.12.34, merci", "+33 6 39 98 12 34"),
        ("Mon numéro : 06.39.98.12.34, merci", "0639981234"),
        ("Mon numéro : 06.39.98.12.34, merci", "98 12 34"),
        ("Écrire à Lou.Martin@courriel.example.", "lou.martin@courriel.example"),
        ("Écrire à Lou.Martin@courriel.example.", "lou.martin@courriel"),
    ],
)
async def test_words_are_found_in_any_form(database: Database, project: Project, written: str, typed: str) -> None:
    message, other = a_message("SM1", written), a_message("SM2", "Rien de tout cela.")
    await project(message, other)

    assert await found(database, typed) == {message.contact.contact_id}


@pytest.mark.parametrize("typed", ["the potholes", "pothole", "lighting"])
async def test_english_messages_are_found_by_their_stems(database: Database, project: Project, typed: str) -> None:
    message = a_message("SM1", "Potholes and lights, please", language="en")
    await project(message, a_message("SM2", "Rien"))

    assert await found(database, typed) == {message.contact.contact_id}


async def test_people_are_found_by_name_number_and_mail(database: Database, project: Project) -> None:
    mail = ContactPoint(kind="email", value="celeste.durand@courriel.example")
    one = a_message("M1", "Bonjour", channel="email", point=mail, display_name="Mme Céleste Durand")
    two = a_message("M2", "Encore moi", channel="email", point=mail, display_name="Mme Céleste Durand")
    await project(one, two, a_message("SM3", "Autre chose"))

    for typed in ("celeste durand", "Dur", "celeste.durand@courriel.example", "celeste bonjour"):
        assert one.contact.contact_id in await found(database, typed), typed
    (person,) = (await search(database, "durand")).people
    assert (person.sender, person.cases) == (mail.value, 2)
    (caller,) = (await search(database, "06 39 98 00 01")).people
    assert caller.sender == "+33639980001"


async def test_file_names_and_form_answers_are_found(database: Database, project: Project) -> None:
    form = a_message("F1", channel="web", answers={"place": "12 rue des Lilas"}, procedure="road-report")
    await project(form, a_message("SM2", "Bonjour"))

    assert await found(database, "lilas") == {form.contact.contact_id}


async def test_a_reference_is_found_by_any_four_of_its_characters(database: Database, project: Project) -> None:
    message = a_message("SM1", "Bonjour")
    await project(message, *(a_message(f"X{n}", "Bonjour") for n in range(20)))
    plain = message.contact.reference.replace("-", "")[1:]

    for typed in (message.contact.reference, message.contact.reference[2:11].lower(), f"P-{plain[3:9]}", plain[-6:]):
        assert message.routing.conversation_id in (await search(database, typed)).references, typed


async def test_only_own_departments_are_searched_and_a_transfer_moves_the_messages(
    database: Database, project: Project
) -> None:
    message = a_message("SM1", "Un lampadaire éteint")
    await project(message, a_message("SM2", "Un lampadaire ailleurs", department="police"))
    assert await found(database, "lampadaire") == {message.contact.contact_id}

    await project(
        ConversationArrived(
            conversation_id=message.routing.conversation_id, sequence=2, reference=message.contact.reference,
            from_department="voirie", to_department="ccas", reason="Erreur", at=AN_INSTANT,
        )
    )  # fmt: skip
    assert await found(database, "lampadaire") == set()
    assert await found(database, "lampadaire", ["ccas"]) == {message.contact.contact_id}
    assert await found(database, message.contact.reference) == set()


@pytest.mark.parametrize(
    "typed", ["", "   ", "'", "\\", "!!", "a & b | !", "'x':*", "de la", "\x00", "x" * 500, "()", "<->", "P-", "@"]
)
async def test_no_search_fails(database: Database, project: Project, typed: str) -> None:
    await project(a_message("SM1", "Bonjour"))
    await search(database, typed)


async def test_the_page_groups_messages_by_case_and_marks_what_matched(
    agent: httpx.AsyncClient, project: Project
) -> None:
    first = a_message("SM1", "Un lampadaire éteint <b>rue Haute</b>")
    await project(first, a_message("SM2", "Deux lampadaires éteints", display_name="Lou Exemple"))
    page = (await agent.get("/search", params={"q": "lampadaires"})).text

    assert "Un <mark>lampadaire</mark> éteint &lt;b&gt;rue Haute" in page
    assert "1 personne · 2 dossiers · 2 messages" in page
    assert page.count('<li>\n<p class="hit-head">') == 2
    nothing = (await agent.get("/search", params={"q": "girafe"})).text
    assert "Rien trouvé" in nothing
    assert (await agent.get("/search")).status_code == 200


async def test_replies_and_call_notes_are_found(agent: httpx.AsyncClient, project: Project, send: Send) -> None:
    message = a_message("SM1", "Un trou")
    await project(message)
    case = f"/cases/{message.routing.conversation_id}"
    await send(case, f"{case}/reply", text="L’équipe passera jeudi avec du bitume.", do="send")
    page = (await agent.get("/search", params={"q": "bitume"})).text

    assert "<mark>bitume</mark>" in page
    assert "Notre réponse" in page


async def test_many_messages_come_newest_first_page_by_page(agent: httpx.AsyncClient, project: Project) -> None:
    """More than are counted, over several years and in one week, so that the search walks back in time."""
    days = [*range(0, 2000, 20), *([2000] * 1100)]
    messages = [
        a_message(f"W{n}", "Un trottoir", received_at=AN_INSTANT + timedelta(days=day, seconds=n % 7))
        for n, day in enumerate(days)
    ]
    await project(*messages)
    seen: list[str] = []
    path: str | None = "/search?q=trottoir"
    while path:
        page = (await agent.get(path)).text
        seen += re.findall(r'href="/cases/([0-9a-f-]{36})"', page)
        following = re.search(r'href="(/search[^"]+)" rel="next"', page)
        path = following[1].replace("&amp;", "&") if following else None

    assert "Plus de 1 000 messages" in (await agent.get("/search?q=trottoir")).text
    at = {str(m.routing.conversation_id): m.contact.received_at for m in messages}
    assert len(seen) == len(set(seen)) == len(messages)
    assert [at[case] for case in seen] == sorted(at.values(), reverse=True)


async def test_a_rebuilt_index_equals_the_one_that_was_there(
    agent: httpx.AsyncClient, database: Database, project: Project, send: Send, town_config: TownConfig
) -> None:
    message = a_message("SM1", "Un lampadaire éteint, 06 39 98 12 34", procedure="road-report")
    await project(message, a_message("SM2", "Autre chose", language="en"))
    case = f"/cases/{message.routing.conversation_id}"
    await send(case, f"{case}/reply", text="Nous venons.", do="send")
    query = text(
        "select entry_id, conversation_id, kind, department, sender, at, terms::text from desk.search_entry order by 1"
    )
    async with database.transaction() as connection:
        before = (await connection.execute(query)).all()
        await connection.execute(text("delete from desk.search_entry"))

    assert await rebuild_index(database, town_config) == len(before) == 3
    async with database.transaction() as connection:
        assert (await connection.execute(query)).all() == before


async def test_programs_search_the_same(agent: httpx.AsyncClient, project: Project) -> None:
    message = a_message("SM1", "Un lampadaire éteint")
    await project(message)
    token = {"authorization": "Bearer a token for tests only"}
    query = {"department": "voirie", "q": "lampadaires"}
    answer = (await agent.get("/api/v1/search", params=query, headers=token)).json()

    assert [found["conversation_id"] for found in answer["messages"]] == [message.routing.conversation_id]
    assert (answer["message_count"], answer["case_count"], answer["after"]) == (1, 1, None)
    assert (await agent.get("/api/v1/search", params=query)).status_code == 401
