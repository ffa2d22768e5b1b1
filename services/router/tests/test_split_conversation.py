"""Tests splitting, linking and unlinking conversations, on the real Kafka and PostgreSQL."""

import asyncio
import json
from typing import Any

import pytest

from parvis.common.bus.cloudevents import ReceivedRecord
from parvis.common.contract.contact import ClaimCheck, ContactReceived, ConversationIdentifiers
from parvis.common.contract.references import find_references, make_reference
from parvis.common.contract.routing.conversation_history import History
from parvis.common.contract.routing.decisions import make_conversation_id
from parvis.common.contract.routing.split_and_link import LinkRequested, SplitRequested
from parvis.common.testing import AN_INSTANT, FakeProducer

from .conftest import Town
from .makers import a_transfer, kinds, mail, sms

pytestmark = pytest.mark.stack


def a_split(
    of: ContactReceived, *moving: ContactReceived, to: str, from_department: str, split_id: str = "s1"
) -> SplitRequested:
    return SplitRequested(
        split_id=split_id,
        conversation_id=make_conversation_id(of.contact_id, of.received_at),
        contact_ids=tuple(contact.contact_id for contact in moving),
        from_department=from_department,
        to_department=to,
        reason="about something else",
        requested_by="agent-7",
        requested_at=AN_INSTANT,
    )


def a_link(of: ContactReceived, reference: str, *, from_department: str, **changes: Any) -> LinkRequested:
    values: dict[str, Any] = {
        "link_id": "l1",
        "conversation_id": make_conversation_id(of.contact_id, of.received_at),
        "other_reference": reference,
        "from_department": from_department,
        "requested_by": "agent-7",
        "requested_at": AN_INSTANT,
    }
    return LinkRequested(**(values | changes))


async def history_of(town: Town, event: dict[str, Any]) -> History:
    return History.model_validate_json(await town.blobs.get(ClaimCheck.model_validate(event["history"])))


def only(queue: list[ReceivedRecord], kind: str) -> list[dict[str, Any]]:
    return [json.loads(r.value) for r in queue if r.header("ce_type") == kind]


async def test_contacts_that_are_split_off_get_a_conversation_of_their_own(town: Town) -> None:
    first, second, third = sms(0, "un nid-de-poule"), sms(1, "et ma facture ?"), sms(2, "merci pour le trou")
    await town.route(first, second, third)
    await town.route(a_split(first, second, to="finances", from_department="voirie"))

    [split] = only(await town.queue("voirie"), "conversation.split")
    [opened] = only(await town.queue("finances"), "conversation.opened")
    assert (split["sequence"], opened["sequence"]) == (4, 1)
    assert split["contact_ids"] == opened["contact_ids"] == [second.contact_id]
    assert split["into_conversation"] == opened["conversation_id"]
    assert split["into_reference"] == opened["reference"]
    assert find_references(opened["reference"]) == [opened["reference"]]
    assert opened["out_of_reference"] == first.reference
    history = await history_of(town, opened)
    assert [contact.contact_id for contact in history.contacts] == [second.contact_id]
    notices = [reply for reply in await town.replies() if reply["kind"] == "registration"]
    assert [notice["reference"] for notice in notices] == [first.reference, opened["reference"]]
    assert notices[1]["addressed_as"] == opened["out_of_conversation"]
    assert notices[1]["personal"]["variables"]["received_on"]


async def test_a_quoted_reference_leads_to_the_new_conversation_after_a_split(town: Town) -> None:
    first, second = sms(0, "un nid-de-poule"), sms(1, "et ma facture ?")
    await town.route(first, second)
    await town.route(a_split(first, second, to="finances", from_department="voirie"))
    [opened] = only(await town.queue("finances"), "conversation.opened")

    for number, quoted in enumerate((second.reference, opened["reference"]), start=10):
        await town.route(mail(number, "voici", thread=ConversationIdentifiers(reference=quoted)))
    await town.route(mail(20, "voici", thread=ConversationIdentifiers(reference=first.reference)))

    routed = only(await town.queue("finances"), "contact.routed")
    assert [event["routing"]["sequence"] for event in routed] == [2, 3]
    assert {event["routing"]["conversation_id"] for event in routed} == {opened["conversation_id"]}
    assert only(await town.queue("voirie"), "contact.routed")[-1]["routing"]["sequence"] == 4


async def test_a_split_conversation_can_be_split_and_transferred_again(town: Town) -> None:
    contacts = [sms(number, "un nid-de-poule") for number in range(4)]
    first, *others = contacts
    await town.route(*contacts)
    await town.route(a_split(first, *others, to="finances", from_department="voirie"))
    [opened] = only(await town.queue("finances"), "conversation.opened")
    second_split = a_split(first, others[2], to="urbanisme", from_department="finances", split_id="s2")
    second_split = second_split.model_copy(update={"conversation_id": opened["conversation_id"]})
    await town.route(second_split)
    [newest] = only(await town.queue("urbanisme"), "conversation.opened")
    assert newest["contact_ids"] == [others[2].contact_id]

    request = a_transfer(first, "urbanisme", from_department="finances")
    await town.route(request.model_copy(update={"conversation_id": opened["conversation_id"]}))
    [arrived] = only(await town.queue("urbanisme"), "conversation.arrived")
    past = await history_of(town, opened)
    assert [c.contact_id for c in past.contacts] == [c.contact_id for c in others]
    assert arrived["sequence"] == 3


async def test_a_redelivered_split_is_published_again_and_creates_no_second_conversation(town: Town) -> None:
    first, second = sms(0, "un nid-de-poule"), sms(1, "et ma facture ?")
    request = a_split(first, second, to="finances", from_department="voirie")
    await town.route(first, second)
    await town.route(request, request)
    await town.route(request)
    opened = [r for r in await town.queue("finances") if r.header("ce_type") == "conversation.opened"]
    assert len(opened) == 3
    assert len({r.value for r in opened}) == 1
    assert len({r.header("ce_id") for r in opened}) == 1
    assert len(await town.rows("select id from router.conversation")) == 2


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"from_department": "finances"}, "stale"),
        ({"to_department": "no-such-department"}, "unknown department"),
        ({"conversation_id": "0d8c7a52-2f0f-5f43-8b2e-6a8f61c2a001"}, "unknown conversation"),
        ({"contact_ids": ("0d8c7a52-2f0f-5f43-8b2e-6a8f61c2a001",)}, "unknown contact"),
    ],
)
async def test_an_invalid_split_is_refused_to_the_requesting_department(
    town: Town, changes: dict[str, Any], why: str
) -> None:
    first, second = sms(0, "un nid-de-poule"), sms(1, "et ma facture ?")
    await town.route(first, second)
    request = a_split(first, second, to="urbanisme", from_department="voirie").model_copy(update=changes)
    await town.route(request)
    [refused] = only(await town.queue(request.from_department), "split.refused")
    assert refused["why"] == why
    assert await town.queue("urbanisme") == []


async def test_a_split_cannot_empty_a_conversation_or_move_a_contact_twice(town: Town) -> None:
    first, second = sms(0, "un nid-de-poule"), sms(1, "et ma facture ?")
    await town.route(first, second)
    await town.route(a_split(first, first, second, to="finances", from_department="voirie"))
    await town.route(a_split(first, second, to="finances", from_department="voirie", split_id="s2"))
    await town.route(a_split(first, second, to="finances", from_department="voirie", split_id="s3"))
    refused = only(await town.queue("voirie"), "split.refused")
    assert [(event["split_id"], event["why"]) for event in refused] == [
        ("s1", "nothing would stay"),
        ("s3", "unknown contact"),
    ]


async def test_a_split_to_another_body_starts_new_due_dates_and_notifies_the_citizen(town: Town) -> None:
    first, second = mail(0, "un nid-de-poule"), sms(1, "et l'aide pour ma mère ?")
    await town.route(first)
    await town.route(
        second.model_copy(
            update={
                "thread": ConversationIdentifiers(
                    conversation_id=make_conversation_id(first.contact_id, first.received_at)
                )
            }
        )
    )
    await town.route(a_split(first, second, to="departement-solidarites", from_department="voirie"))
    [opened] = only(await town.queue("departement-solidarites"), "conversation.opened")
    assert opened["competent_received_at"] == "2026-03-02T09:30:00Z"
    [notice] = [reply for reply in await town.replies() if reply["kind"] == "transfer"]
    assert notice["conversation_id"] == opened["conversation_id"]
    assert notice["addressed_as"] == make_conversation_id(first.contact_id, first.received_at)
    assert notice["reference"] == opened["reference"]


async def test_a_link_is_published_to_both_departments_and_can_be_undone(town: Town) -> None:
    first, second = mail(0, "un nid-de-poule"), mail(1, "ma facture")
    await town.route(first, second)
    await town.route(a_link(first, second.reference, from_department="voirie"))
    voirie, finances = await town.queue("voirie"), await town.queue("finances")
    assert kinds(voirie) == kinds(finances) == ["contact.routed", "conversation.linked"]
    assert only(voirie, "conversation.linked")[0]["other_conversation"] == make_conversation_id(
        second.contact_id, second.received_at
    )
    assert only(finances, "conversation.linked")[0]["other_reference"] == first.reference
    assert only(finances, "conversation.linked")[0]["sequence"] == 2

    # Either side may unlink, and link again.
    undo = a_link(second, first.reference, from_department="finances", link_id="l2", wanted="unlinked")
    relink = a_link(first, second.reference, from_department="voirie", link_id="l3")
    await town.route(undo, relink)
    assert kinds(await town.queue("voirie"))[2:] == ["conversation.unlinked", "conversation.linked"]
    await town.route(a_transfer(first, "urbanisme", from_department="voirie"))
    [arrived] = only(await town.queue("urbanisme"), "conversation.arrived")
    past = await history_of(town, arrived)
    assert past.linked == (second.reference,)


async def test_an_invalid_link_is_refused_to_the_requesting_department(town: Town) -> None:
    first, second = mail(0, "un nid-de-poule"), mail(1, "ma facture")
    await town.route(first, second)
    nobody = make_reference("nobody")  # pyright: ignore[reportArgumentType]
    await town.route(
        a_link(first, second.reference, from_department="voirie", link_id="good"),
        a_link(first, second.reference, from_department="voirie", link_id="twice"),
        a_link(first, nobody, from_department="voirie", link_id="nobody"),
        a_link(first, first.reference, from_department="voirie", link_id="self"),
        a_link(first, second.reference, from_department="finances", link_id="stale"),
        a_link(first, second.reference, from_department="voirie", link_id="good"),
    )
    refused = [
        (event["link_id"], event["why"])
        for department in ("voirie", "finances")
        for event in only(await town.queue(department), "link.refused")
    ]
    assert refused == [
        ("twice", "already linked"),
        ("nobody", "unknown reference"),
        ("self", "the same"),
        ("stale", "stale"),
    ]
    assert (
        len(only(await town.queue("finances"), "conversation.linked")) == 2
    )  # `good` was delivered twice and is published twice


async def test_two_routers_with_the_same_split_create_one_conversation(town: Town) -> None:
    first, second = sms(0, "un nid-de-poule"), sms(1, "et ma facture ?")
    await town.route(first, second)
    request = town.item(a_split(first, second, to="finances", from_department="voirie"))
    quiet = [FakeProducer(), FakeProducer()]
    await asyncio.gather(*(town.router(producer).handle([request]) for producer in quiet))
    assert [(r.topic, r.key, r.value) for r in quiet[0].sent] == [(r.topic, r.key, r.value) for r in quiet[1].sent]
    assert len(await town.rows("select id from router.conversation")) == 2
    assert [row.sequence for row in await town.rows("select sequence from router.conversation order by 1")] == [1, 3]
