"""Tests that mere thanks after an answer open nothing, and that a visit joins the conversation whose reference it quotes."""

import asyncio

import pytest

from parvis.local.citizen_client import Citizens
from parvis.local.demo.agents import DemoAgents
from parvis.local.demo.watch import JourneyWatch
from tests.journey.until import routed, until
from tests.patience import PATIENCE_S

pytestmark = [pytest.mark.journey, pytest.mark.stack]


async def test_thanks_after_an_answer_stay_in_the_closed_case_and_a_visit_reopens_it(
    citizens: Citizens, agents: DemoAgents, watch: JourneyWatch
):
    number = "+33639980421"
    first = await routed(watch, await citizens.text(number, "Bonjour, un nid de poule rue des Lilas."))
    case = await agents.answer(first.conversation_id, "voirie", "Le trou est rebouché.")
    assert case["state"] == "closed"
    await until(lambda: first.is_answered)
    told = len(await citizens.messages_to(number))

    thanks = await routed(watch, await citizens.text(number, "Merci beaucoup !!"))
    assert thanks.conversation_id == first.conversation_id

    visit = await agents.receive_at_the_counter(
        "etat-civil", "Elle demande un acte de naissance.", reference=case["reference"]
    )
    made = str(visit["contact_id"])
    await until(lambda: made in watch.journeys and watch.journeys[made].department)
    noted = watch.journeys[made]
    assert (noted.conversation_id, noted.department) == (first.conversation_id, "voirie")
    async with asyncio.timeout(PATIENCE_S):  # the desk's queue follows the topic
        while len((case := await agents.case(first.conversation_id, "voirie"))["contacts"]) < 3:
            await asyncio.sleep(0.1)
    assert [contact["only_thanks"] for contact in case["contacts"]] == [False, True, False]
    assert len(await citizens.messages_to(number)) == told
