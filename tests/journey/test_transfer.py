"""What nobody could place goes to people, and they can send it on."""

import asyncio

import pytest

from parvis.local.citizens import Citizens
from parvis.local.demo.agents import Agents
from parvis.local.demo.watch import Watch
from tests.journey.until import routed

pytestmark = [pytest.mark.journey, pytest.mark.stack]


async def test_triage_is_no_dead_end(citizens: Citizens, agents: Agents, watch: Watch):
    journey = await routed(watch, await citizens.text("+33639980301", "Bonjour, zorglub ?"))
    assert journey.department == "triage"
    await agents.case(journey.conversation_id, "triage")

    await agents.transfer(journey.conversation_id, "triage", "culture-sports", "C’est le nom du festival.")

    await agents.case(journey.conversation_id, "culture-sports")
    assert journey.conversation_id not in {c["conversation_id"] for c in await agents.cases("triage")}


async def test_what_follows_a_transfer_arrives_at_the_new_department(citizens: Citizens, agents: Agents, watch: Watch):
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
