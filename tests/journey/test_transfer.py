"""Tests that contacts without a clear department go to triage, where an agent transfers them."""

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from parvis.common.bus.topic_reader import read_all_records
from parvis.common.contract.routing.conversation_history import History
from parvis.common.contract.routing.transfer import ConversationArrived
from parvis.common.storage.blobs import BlobStore
from parvis.local.citizen_client import Citizens
from parvis.local.demo.agents import DemoAgents
from parvis.local.demo.watch import JourneyWatch
from parvis.local.stack import Stack
from tests.journey.until import routed, until

pytestmark = [pytest.mark.journey, pytest.mark.stack]
COUNTY = "departement-solidarites"


async def test_triage_is_no_dead_end(citizens: Citizens, agents: DemoAgents, watch: JourneyWatch):
    journey = await routed(watch, await citizens.text("+33639980301", "Bonjour, zorglub ?"))
    assert journey.department == "triage"
    await agents.case(journey.conversation_id, "triage")

    await agents.transfer(journey.conversation_id, "triage", "culture-sports", "C’est le nom du festival.")

    await agents.case(journey.conversation_id, "culture-sports")
    assert journey.conversation_id not in {c["conversation_id"] for c in await agents.cases("triage")}


async def test_what_follows_a_transfer_arrives_at_the_new_department(
    citizens: Citizens, agents: DemoAgents, watch: JourneyWatch
):
    number = "+33639980302"
    first = await routed(watch, await citizens.text(number, "Bonjour, zorglub encore ?"))
    await agents.case(first.conversation_id, "triage")
    await agents.transfer(first.conversation_id, "triage", "finances", "Une facture.")
    await agents.case(first.conversation_id, "finances")

    second = await routed(watch, await citizens.text(number, "Et j’ajoute ceci."))

    assert (second.department, second.conversation_id) == ("finances", first.conversation_id)
    async with asyncio.timeout(30):
        while len((await agents.case(first.conversation_id, "finances"))["contacts"]) < 2:
            await asyncio.sleep(0.1)


async def test_what_goes_to_and_fro_ends_at_people_with_all_that_came_before(
    town: Stack, citizens: Citizens, agents: DemoAgents, watch: JourneyWatch
):
    journey = await routed(watch, await citizens.text("+33639980303", "Bonjour, un nid-de-poule rue Haute"))
    conversation = journey.conversation_id
    for came_from, to in pairwise(["voirie", "finances", "voirie", "finances"]):
        await agents.case(conversation, came_from)
        await agents.transfer(conversation, came_from, to, "Pas à nous.")

    case = await agents.case(conversation, "triage")

    assert case["moves"][-1]["stopped"]["wanted_department"] == "finances"
    [arrived] = [event async for event in _arrived(town, "triage") if event.conversation_id == conversation]
    assert arrived.history
    past = History.model_validate_json(await BlobStore(town.env["PARVIS_BLOBS_URL"]).get(arrived.history))
    assert [contact.contact_id for contact in past.contacts] == [journey.contact_id]
    assert past.contacts[0].original
    assert b"nid-de-poule" in await BlobStore(town.env["PARVIS_BLOBS_URL"]).get(past.contacts[0].original)
    assert len(past.moves) == 2


async def _arrived(town: Stack, department: str):
    async for received in read_all_records(town.kafka, [f"parvis.department.{department}"]):
        if received.header("ce_type") == ConversationArrived.TYPE:
            yield ConversationArrived.model_validate_json(received.value)


async def test_who_is_sent_on_to_another_body_is_told_by_sms(
    citizens: Citizens, agents: DemoAgents, watch: JourneyWatch
):
    journey = await routed(watch, await citizens.text("+33639980304", "Bonjour, zorglub pour ma mère ?"))
    await agents.case(journey.conversation_id, "triage")
    await agents.transfer(journey.conversation_id, "triage", COUNTY, "C’est au département.")

    case = await agents.case(journey.conversation_id, COUNTY)
    assert case["competent_at"]
    assert case["received_at"] < case["competent_at"] < case["answer_due_at"]

    def told() -> bool:
        deliveries = [
            journey.deliveries[r]
            for r, kind in journey.replies.items()
            if kind == "transfer" and r in journey.deliveries
        ]
        return any(channel == "sms" and state == "delivered" for channel, state, _ in deliveries)

    await until(told)


async def test_a_message_about_something_else_gets_its_own_case_and_a_link_is_undone(
    citizens: Citizens, agents: DemoAgents, watch: JourneyWatch
):
    number = "+33639980305"
    first = await routed(watch, await citizens.text(number, "Bonjour, un nid-de-poule rue Basse"))
    second = await routed(watch, await citizens.text(number, "Et ma facture de cantine ?"))
    old = first.conversation_id
    await _until_case(agents, old, "voirie", lambda case: len(case["contacts"]) == 2)

    await agents.split(old, "voirie", [second.contact_id], "finances")

    case = await _until_case(agents, old, "voirie", lambda case: bool(case["steps"]) and len(case["contacts"]) == 1)
    [step] = case["steps"]
    new = await _until_case(agents, step["other_conversation"], "finances", lambda case: bool(case["contacts"]))
    assert [contact["contact_id"] for contact in new["contacts"]] == [second.contact_id]
    assert new["reference"] == step["other_reference"] != case["reference"]

    third = await routed(watch, await citizens.text("+33639980306", "Bonjour, un nid-de-poule rue Basse aussi"))
    other = await agents.case(third.conversation_id, "voirie")
    for wanted in ("linked", "unlinked"):
        await agents.link(old, "voirie", other["reference"], wanted=wanted)
        for one in (old, third.conversation_id):
            await _until_case(
                agents, one, "voirie", lambda case, w=wanted: [s["kind"] for s in case["steps"]][-1:] == [w]
            )


async def _until_case(
    agents: DemoAgents, conversation: str, department: str, holds: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while not holds(case := await agents.case(conversation, department)):
            await asyncio.sleep(0.1)
        return case
