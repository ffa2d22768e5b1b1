"""Tests splits and links: applied in any order, requested from the page, undone."""

import itertools
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.references import make_reference
from parvis.common.contract.routing.conversation_history import History, PastContact
from parvis.common.contract.routing.decisions import ContactRouted, SplitSuggestion, make_conversation_id
from parvis.common.contract.routing.split_and_link import (
    ConversationLinked,
    ConversationOpened,
    ConversationSplit,
    ConversationUnlinked,
    LinkRequested,
    SplitRefused,
    SplitRequested,
)
from parvis.common.contract.routing.transfer import ConversationArrived, ConversationLeft
from parvis.common.storage.blobs import BlobStore
from parvis.common.storage.postgres import Database
from parvis.common.testing import AN_INSTANT, a_contact

from .test_pages import personal, routed

pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]
Published = Callable[[str], Awaitable[list[bytes]]]
Send = Callable[..., Awaitable[httpx.Response]]

FIRST, SECOND, THIRD = (
    a_contact(key=f"SM{number}", personal=personal(words))
    for number, words in enumerate(("Un trou rue Haute.", "Et ma facture ?", "Merci pour le trou."))
)
CONVERSATION = make_conversation_id(FIRST.contact_id, FIRST.received_at)
NEW = make_conversation_id(make_reference("a split"), AN_INSTANT)  # pyright: ignore[reportArgumentType]
NEW_REFERENCE = make_reference("a split")  # pyright: ignore[reportArgumentType]
CASE = f"/cases/{CONVERSATION}"


def in_the_case(contact: ContactReceived, sequence: int, **changes: Any) -> ContactRouted:
    values: dict[str, Any] = {"conversation_id": CONVERSATION, "reference": FIRST.reference, "sequence": sequence}
    return routed(contact, **(values | changes))


def the_split(to: str = "voirie") -> tuple[ConversationSplit, ConversationOpened]:
    common: dict[str, Any] = {"contact_ids": (SECOND.contact_id,), "reason": "Une facture.", "at": AN_INSTANT}
    split = ConversationSplit(
        conversation_id=CONVERSATION, sequence=4, reference=FIRST.reference, department="voirie",
        into_conversation=NEW, into_reference=NEW_REFERENCE, into_department=to, **common,
    )  # fmt: skip
    opened = ConversationOpened(
        conversation_id=NEW, sequence=1, reference=NEW_REFERENCE, department=to, from_department="voirie",
        out_of_conversation=CONVERSATION, out_of_reference=FIRST.reference, received_at=AN_INSTANT,
        answer_due_at=AN_INSTANT + timedelta(days=3), **common,
    )  # fmt: skip
    return split, opened


EVENTS = (in_the_case(FIRST, 1), in_the_case(SECOND, 2), in_the_case(THIRD, 3), *the_split())


@pytest.mark.parametrize("order", [*itertools.permutations(range(5), 5)][::17])
async def test_in_any_order_each_message_ends_in_its_case(
    database: Database, project: Project, order: tuple[int, ...]
) -> None:
    for number in order:
        await project(EVENTS[number])
    await project(*EVENTS)
    assert await _cases(database) == [
        (FIRST.reference, 2, "Un trou rue Haute."),
        (NEW_REFERENCE, 1, "Et ma facture ?"),
    ]


async def test_messages_of_one_batch_end_in_their_cases(database: Database, project: Project) -> None:
    await project(*reversed(EVENTS))
    assert [(reference, contacts) for reference, contacts, *_ in await _cases(database)] == [
        (FIRST.reference, 2),
        (NEW_REFERENCE, 1),
    ]


async def _cases(database: Database) -> list[tuple[Any, ...]]:
    query = "select reference, contacts, subject from desk.case_file order by contacts desc"
    async with database.transaction() as connection:
        return [tuple(row) for row in await connection.execute(text(query))]


async def test_both_pages_show_the_split_and_link_to_each_other(agent: httpx.AsyncClient, project: Project) -> None:
    await project(*EVENTS)
    old, new = (await agent.get(CASE)).text, (await agent.get(f"/cases/{NEW}")).text
    assert f'href="/cases/{NEW}"' in old
    assert f'href="{CASE}"' in new
    assert "Et ma facture ?" in new
    assert "Et ma facture ?" not in old
    assert "Undo" not in new  # a split is no link by hand


async def test_an_agent_asks_to_split_off_the_messages_that_are_chosen(
    agent: httpx.AsyncClient, project: Project, send: Send, published: Published
) -> None:
    await project(*EVENTS[:3])
    wish = {"split__to": "finances", "split__reason": "Une facture."}
    answer = await send(CASE, f"{CASE}/split", messages=SECOND.contact_id, **wish)
    assert answer.headers["location"] == f"{CASE}?notice=split_asked"
    [asked] = [SplitRequested.model_validate_json(value) for value in await published("transfer.requested")]
    assert (asked.contact_ids, asked.from_department, asked.to_department) == (
        (SECOND.contact_id,), "voirie", "finances",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"split__to": "finances", "split__reason": "x"}, "Choisissez au moins un message"),
        ({"messages": SECOND.contact_id, "split__to": "finances"}, "Indiquez le motif"),
        ({"messages": SECOND.contact_id, "split__to": "nowhere", "split__reason": "x"}, "Choisissez un service"),
    ],
)
async def test_a_missing_field_is_named_and_the_choice_stays(
    agent: httpx.AsyncClient, project: Project, send: Send, published: Published, fields: dict[str, str], words: str
) -> None:
    await project(*EVENTS[:3])
    answer = await send(CASE, f"{CASE}/split", **fields)
    assert answer.status_code == 422
    assert words in answer.text
    if "messages" in fields:
        assert f'value="{SECOND.contact_id}" checked' in answer.text
    assert await published("transfer.requested") == []


async def test_a_refused_split_says_why(agent: httpx.AsyncClient, project: Project) -> None:
    refused = SplitRefused(
        split_id="s", conversation_id=CONVERSATION, from_department="voirie", to_department="finances",
        why="unknown contact", at=AN_INSTANT,
    )  # fmt: skip
    await project(*EVENTS[:2], refused, refused)
    page = (await agent.get(CASE)).text
    assert page.count("Un de ces messages n’est plus dans ce dossier.") == 1


def a_link(kind: type[ConversationLinked | ConversationUnlinked], sequence: int) -> Any:
    return kind(
        conversation_id=CONVERSATION, sequence=sequence, reference=FIRST.reference, department="voirie",
        other_conversation=NEW, other_reference=NEW_REFERENCE, other_department="finances", at=AN_INSTANT,
    )  # fmt: skip


async def test_a_link_is_asked_for_shown_and_undone(
    agent: httpx.AsyncClient, project: Project, send: Send, published: Published
) -> None:
    await project(EVENTS[0])
    answer = await send(CASE, f"{CASE}/link", other=NEW_REFERENCE.lower())
    assert answer.headers["location"] == f"{CASE}?notice=link_asked"
    await project(a_link(ConversationLinked, 2))
    page = (await agent.get(CASE)).text
    assert "Finances et régie" in page
    assert NEW_REFERENCE in page

    assert f'name="unlink" value="{NEW_REFERENCE}"' in page
    undone = await send(CASE, f"{CASE}/link", unlink=NEW_REFERENCE)
    assert undone.headers["location"] == f"{CASE}?notice=unlink_asked"
    asked = [LinkRequested.model_validate_json(value) for value in await published("transfer.requested")]
    assert [(one.wanted, one.other_reference) for one in asked] == [
        ("linked", NEW_REFERENCE),
        ("unlinked", NEW_REFERENCE),
    ]
    await project(a_link(ConversationUnlinked, 3))
    assert 'name="unlink"' not in (await agent.get(CASE)).text


@pytest.mark.parametrize("typed", ["", "P-0000", FIRST.reference])
async def test_a_link_needs_the_reference_of_another_case(
    agent: httpx.AsyncClient, project: Project, send: Send, typed: str
) -> None:
    await project(EVENTS[0])
    assert (await send(CASE, f"{CASE}/link", other=typed)).status_code == 422


async def test_history_from_before_a_transfer_is_shown(
    agent: httpx.AsyncClient, project: Project, blobs: BlobStore
) -> None:
    past = PastContact(
        contact_id=SECOND.contact_id, reference=SECOND.reference, conversation_id=CONVERSATION, sequence=1, channel="sms",
        department="triage", rule="default", reason={"fr": "Personne ne savait."}, received_at=AN_INSTANT,
    )  # fmt: skip
    history = History(conversation_id=CONVERSATION, reference=FIRST.reference, contacts=(past,))
    claim = await blobs.put(FIRST.contact_id, history.model_dump_json().encode(), "application/json")
    arrived = ConversationArrived(
        conversation_id=CONVERSATION, sequence=2, reference=FIRST.reference, from_department="triage",
        to_department="voirie", reason="La voirie.", history=claim, at=AN_INSTANT,
    )  # fmt: skip
    await project(arrived, in_the_case(FIRST, 3))
    page = (await agent.get(CASE)).text
    assert SECOND.reference in page
    assert "Personne ne savait." in page


async def test_a_transfer_that_was_stopped_and_another_bodys_dates_are_shown(
    agent: httpx.AsyncClient, project: Project
) -> None:
    stopped = {"wanted_department": "finances", "why": {"fr": "Allé et venu.", "en": "To and fro."}}
    arrived = ConversationArrived.model_validate(
        {
            "conversation_id": CONVERSATION, "sequence": 2, "reference": FIRST.reference, "from_department": "triage",
            "to_department": "voirie", "reason": "La voirie.", "stopped": stopped, "at": AN_INSTANT,
            "competent_received_at": AN_INSTANT, "answer_due_at": AN_INSTANT + timedelta(days=30),
            "silence_at": AN_INSTANT + timedelta(days=60), "silence_means": "acceptance",
        }
    )  # fmt: skip
    await project(arrived, in_the_case(FIRST, 1))
    page = (await agent.get(CASE)).text
    assert "Allé et venu." in page
    assert "Transmis à cette administration" in page
    assert "Silence valant acceptation après le" in page
    assert "1 avril 2026" in page or "1er avril 2026" in page  # the town's own earlier date is gone


async def test_the_agent_sees_why_a_transfer_was_stopped(agent: httpx.AsyncClient, project: Project) -> None:
    stopped = {"wanted_department": "finances", "why": {"fr": "Allé et venu.", "en": "To and fro."}}
    left = ConversationLeft.model_validate(
        {
            "conversation_id": CONVERSATION, "sequence": 2, "reference": FIRST.reference, "from_department": "voirie",
            "to_department": "triage", "reason": "Une facture.", "stopped": stopped, "at": AN_INSTANT,
        }
    )  # fmt: skip
    await project(in_the_case(FIRST, 1), left)
    gone = await agent.get(CASE)
    assert gone.status_code == 410
    assert "Allé et venu." in gone.text


async def test_the_queue_shows_tags_and_cases_that_are_soon_late(agent: httpx.AsyncClient, project: Project) -> None:
    far = AN_INSTANT + timedelta(days=36_500)
    await project(in_the_case(FIRST, 1, tags=("danger", "rue"), escalate_at=AN_INSTANT, answer_due_at=far))
    other = a_contact(key="SM9", personal=personal("Autre chose."))
    await project(routed(other, answer_due_at=far, escalate_at=far))
    queue = (await agent.get("/queue")).text
    assert queue.count("bientôt en retard") == 1
    tagged = (await agent.get("/queue?tag=rue")).text
    assert "Un trou rue Haute." in tagged
    assert "Autre chose." not in tagged
    assert "Un trou rue Haute." not in (await agent.get("/queue?tag=nothing%00%27")).text


async def test_a_suggestion_to_split_is_shown_and_prepared(agent: httpx.AsyncClient, project: Project) -> None:
    drift = SplitSuggestion(
        department="finances", confidence=0.8, why={"fr": "Ce message parle d'argent.", "en": "Money."}
    )
    await project(EVENTS[0], in_the_case(SECOND, 2, suggestion=drift))
    page = (await agent.get(CASE)).text
    assert "Ce message parle d&#39;argent." in page
    assert f'value="{SECOND.contact_id}" checked' in page
    assert '<option value="finances" selected>' in page
