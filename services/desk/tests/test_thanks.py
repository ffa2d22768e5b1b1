"""Tests that mere thanks are shown on a case, and that a closed one stays closed."""

from typing import Any

import httpx
import pytest

from parvis.common.contract.routing.decisions import ContactRouted, make_conversation_id
from parvis.common.testing import a_contact

from .conftest import Project, Published, Send
from .test_pages import CASE, CONTACT, personal, routed

pytestmark = pytest.mark.asyncio(loop_scope="module")


def thanks(only_thanks: bool | None) -> ContactRouted:
    contact = a_contact(key="thanks", personal=personal("Merci beaucoup !!"))
    conversation = make_conversation_id(CONTACT.contact_id, CONTACT.received_at)
    changes: dict[str, Any] = {"conversation_id": conversation, "reference": CONTACT.reference, "sequence": 2}
    return routed(contact, only_thanks=only_thanks, **changes)


async def test_thanks_leave_a_closed_case_closed(
    agent: httpx.AsyncClient, project: Project, send: Send, published: Published
) -> None:
    await project(routed(CONTACT))
    await send(CASE, f"{CASE}/close")
    updates = len(await published("case.updated"))
    await project(thanks(True))
    page = (await agent.get(CASE)).text
    assert "Merci beaucoup !!" in page
    assert '<span class="tag good">remerciement</span>' in page
    assert f'action="{CASE}/reopen"' in page
    assert len(await published("case.updated")) == updates


@pytest.mark.parametrize(("state", "only_thanks"), [("closed", None), ("waiting", True)])
async def test_other_words_reopen_it_and_thanks_end_the_waiting_for_an_answer(
    agent: httpx.AsyncClient, project: Project, send: Send, state: str, only_thanks: bool | None
) -> None:
    await project(routed(CONTACT))
    await send(CASE, f"{CASE}/reply", text="Le trou est-il rebouché ?", then=state)
    await project(thanks(only_thanks))
    assert f'action="{CASE}/reopen"' not in (await agent.get(CASE)).text
