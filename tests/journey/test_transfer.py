"""What nobody could place goes to people, and they can send it on."""

import pytest

from parvis.local.citizens import Citizens
from parvis.local.demo.agents import Agents
from parvis.local.demo.watch import Journey, Watch
from tests.journey.until import until

pytestmark = [pytest.mark.journey, pytest.mark.stack]


async def test_triage_is_no_dead_end(citizens: Citizens, agents: Agents, watch: Watch):
    number = "+33639980301"
    told = await citizens.text(number, "Bonjour, zorglub ?")
    assert told["outcome"] == "accepted"
    journey = await until(lambda: next((j for j in watch.journeys.values() if j.department == "triage"), None))
    await agents.case(journey.conversation_id, "triage")

    await agents.transfer(journey.conversation_id, "triage", "culture-sports", "C’est le nom du festival.")

    await agents.case(journey.conversation_id, "culture-sports")
    assert journey.conversation_id not in {c["conversation_id"] for c in await agents.cases("triage")}


async def test_what_follows_a_transfer_arrives_at_the_new_department(citizens: Citizens, agents: Agents, watch: Watch):
    number = "+33639980302"
    await citizens.text(number, "Bonjour, zorglub encore ?")
    first = await until(lambda: next((j for j in _of(watch, "triage")), None))
    await agents.case(first.conversation_id, "triage")
    await agents.transfer(first.conversation_id, "triage", "finances", "Une facture.")
    await agents.case(first.conversation_id, "finances")

    await citizens.text(number, "Et j’ajoute ceci.")

    second = await until(lambda: next((j for j in _of(watch, "finances")), None))
    assert second.conversation_id == first.conversation_id
    case = await agents.case(first.conversation_id, "finances")
    assert len(case["contacts"]) == 2


def _of(watch: Watch, department: str) -> list[Journey]:
    return [j for j in watch.journeys.values() if j.department == department]
