"""Tests transfers with their history, between public bodies and in loops, on the real Kafka and PostgreSQL."""

import json
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from parvis.common.contract.contact import MachineSent
from parvis.common.contract.routing.conversation_history import History
from parvis.common.contract.routing.transfer import ConversationArrived
from parvis.common.testing import AN_INSTANT

from .conftest import Town
from .makers import a_transfer, kinds, mail, sms

pytestmark = pytest.mark.stack
COUNTY = "departement-solidarites"


async def arrivals(town: Town, department: str) -> list[ConversationArrived]:
    queue = await town.queue(department)
    values = [r.value for r in queue if r.header("ce_type") == "conversation.arrived"]
    return [ConversationArrived.model_validate_json(value) for value in values]


async def history_of(town: Town, arrived: ConversationArrived) -> History:
    assert arrived.history
    return History.model_validate_json(await town.blobs.get(arrived.history))


async def test_a_transfer_carries_the_history_newest_last(town: Town) -> None:
    first, second = sms(0, "Bonjour, un nid-de-poule"), sms(1, "et un autre")
    await town.route(first, second)
    await town.route(a_transfer(first, "urbanisme", from_department="voirie"))
    await town.route(sms(2, "merci"), a_transfer(first, "finances", from_department="urbanisme", transfer_id="t2"))

    [arrived] = await arrivals(town, "finances")
    past = await history_of(town, arrived)

    assert [contact.sequence for contact in past.contacts] == [1, 2, 4]
    assert [contact.department for contact in past.contacts] == ["voirie", "voirie", "urbanisme"]
    assert past.contacts[0].contact_id == first.contact_id
    assert past.contacts[0].original
    assert past.contacts[0].original.blob == first.original.blob
    assert (past.contacts[0].channel, past.contacts[0].rule) == ("sms", "pothole")
    assert [(move.from_department, move.to_department) for move in past.moves] == [("voirie", "urbanisme")]
    assert arrived.history
    assert arrived.history.blob.startswith(str(arrived.conversation_id))


async def test_a_redelivered_transfer_is_published_again_byte_for_byte(town: Town) -> None:
    first = sms(0, "un nid-de-poule")
    request = a_transfer(first, COUNTY, from_department="voirie")
    await town.route(first)
    await town.route(request)
    await town.route(sms(1, "encore"), request)
    values = [(r.key, r.value, r.headers) for r in await town.queue(COUNTY) if r.header("ce_type") != "contact.routed"]
    assert len(values) == 2
    assert values[0][:2] == values[1][:2]
    notices = [reply for reply in await town.replies() if reply["kind"] == "transfer"]
    assert len(notices) == 2
    assert notices[0] == notices[1]


async def test_a_transfer_loop_between_two_departments_ends_in_triage(town: Town) -> None:
    first = sms(0, "un nid-de-poule")
    await town.route(first)
    path = ["voirie", "finances", "voirie", "finances"]
    for number, (from_department, to) in enumerate(pairwise(path)):
        await town.route(a_transfer(first, to, from_department=from_department, transfer_id=f"t{number}"))

    [arrived] = await arrivals(town, "triage")
    assert (arrived.from_department, arrived.sequence) == ("voirie", 4)
    assert arrived.stopped
    assert arrived.stopped.wanted_department == "finances"
    assert set(arrived.stopped.why) == {"fr", "en"}
    left = [json.loads(r.value) for r in await town.queue("voirie") if r.header("ce_type") == "conversation.left"]
    assert left[-1]["stopped"] == arrived.stopped.model_dump()

    # A decision of triage is final: it may transfer to either department, and the count starts again.
    await town.route(a_transfer(first, "finances", from_department="triage", transfer_id="t8"))
    await town.route(a_transfer(first, "voirie", from_department="finances", transfer_id="t9"))
    assert [arrived.stopped for arrived in await arrivals(town, "voirie")] == [None, None]


async def test_transfers_among_three_departments_are_no_loop(town: Town) -> None:
    first = sms(0, "un nid-de-poule")
    await town.route(first)
    path = ["voirie", "finances", "urbanisme", "voirie", "finances", "urbanisme"]
    for number, (from_department, to) in enumerate(pairwise(path)):
        await town.route(a_transfer(first, to, from_department=from_department, transfer_id=f"t{number}"))
    assert await arrivals(town, "triage") == []


async def test_another_body_gets_its_own_due_dates_and_the_citizen_is_notified(town: Town) -> None:
    first = mail(0, "un nid-de-poule", received_at=AN_INSTANT - timedelta(days=20))
    await town.route(first)
    await town.route(a_transfer(first, COUNTY, from_department="voirie"))

    [arrived] = await arrivals(town, COUNTY)
    assert arrived.competent_received_at == AN_INSTANT
    assert arrived.received_at == first.received_at
    assert arrived.body == "departement"
    assert arrived.answer_due_at
    assert arrived.answer_due_at > AN_INSTANT
    # Silence means rejection for a road report: that period runs from the first day.
    assert arrived.silence_means == "rejection"
    assert arrived.silence_at
    assert arrived.silence_at < AN_INSTANT + timedelta(days=45)

    [notice] = [reply for reply in await town.replies() if reply["kind"] == "transfer"]
    assert notice["legal"] is True
    assert notice["addressed_as"] == notice["conversation_id"] == arrived.conversation_id
    assert notice["channel_of_contact"] == "email"
    assert notice["personal"]["contact_points"] == []
    assert notice["personal"]["variables"]["body"] == "Conseil départemental de l’Exemple"
    assert notice["personal"]["variables"]["department"] == "Solidarités du département"
    assert "refusée" in notice["personal"]["variables"]["silence_rule"]

    # A transfer within one body changes no date; a transfer back makes the town competent again.
    await town.route(a_transfer(first, "voirie", from_department=COUNTY, transfer_id="t2"))
    await town.route(a_transfer(first, "finances", from_department="voirie", transfer_id="t3"))
    [back] = await arrivals(town, "voirie")
    [within] = await arrivals(town, "finances")
    assert (back.competent_received_at, back.body) == (AN_INSTANT, None)
    assert (within.competent_received_at, within.answer_due_at) == (None, None)
    values = [reply["personal"]["variables"]["body"] for reply in await town.replies() if reply["kind"] == "transfer"]
    assert values == ["Conseil départemental de l’Exemple", "Mairie de Val-Exemple"]


async def test_the_transfer_notice_contains_no_address(town: Town) -> None:
    """Only the notifier knows the recipient; if nobody was written to before, it sends nothing."""
    machine = mail(0, "un nid-de-poule", machine=MachineSent(reason="auto-submitted"))
    await town.route(machine)
    await town.route(a_transfer(machine, COUNTY, from_department="triage"))
    assert [reply["kind"] for reply in await town.replies()] == ["transfer"]
    [notice] = await town.replies()
    assert notice["personal"]["contact_points"] == notice["personal"]["stated"] == []


async def test_a_refused_transfer_leaves_no_blob_and_no_notice(town: Town, tmp_path: Any) -> None:
    first = sms(0, "un nid-de-poule")
    await town.route(first)
    await town.route(a_transfer(first, COUNTY, from_department="finances"))
    assert kinds(await town.queue("finances")) == ["transfer.refused"]
    assert not (tmp_path / str(a_transfer(first, COUNTY, from_department="voirie").conversation_id)).exists()
    assert "transfer" not in {reply["kind"] for reply in await town.replies()}
