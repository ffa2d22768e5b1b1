"""Tests how the case page shows the departments and conversations that the router also considered."""

import re

import httpx
import pytest

from parvis.common.contract.routing.decisions import make_conversation_id

from .test_pages import CASE, CONTACT, Project, routed

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_departments_that_the_router_considered_come_first(agent: httpx.AsyncClient, project: Project) -> None:
    guesses = [{"department": slug, "rule": "model", "confidence": 0.3} for slug in ("urbanisme", "dechets")]
    await project(routed(CONTACT, rule="default", runners_up=guesses, model="m-1"))
    page = (await agent.get(CASE)).text
    offered = re.findall(r'<option value="([a-z-]+)"', page.partition('id="f-to"')[2].partition("</select>")[0])
    assert offered[:2] == ["urbanisme", "dechets"]
    assert offered.count("urbanisme") == 1


async def test_followed_and_candidate_conversations_are_shown(agent: httpx.AsyncClient, project: Project) -> None:
    other = {"conversation_id": "c-2", "reference": "P-0000-0000-0001", "department": "dechets"}
    await project(
        routed(CONTACT, candidates=[other], linked_to=make_conversation_id(CONTACT.contact_id, CONTACT.received_at))
    )
    page = (await agent.get(CASE)).text
    assert '<a href="/cases/c-2" class="mono">P-0000-0000-0001</a>' in page
    assert "Fait suite à" in page
