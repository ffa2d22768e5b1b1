"""Facts about idempotency keys: a key belongs to its department and never hides another department's work."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import httpx
import pytest

from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.routing.decisions import make_conversation_id
from parvis.common.contract.routing.transfer import ConversationArrived
from parvis.common.testing import AN_INSTANT, a_contact

from .test_pages import routed

pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]
Published = Callable[[str], Awaitable[list[bytes]]]
CONTACT = a_contact()
CONVERSATION = make_conversation_id(CONTACT.contact_id, CONTACT.received_at)
HEADERS = {"authorization": "Bearer a token for tests only", "idempotency-key": "1"}


def agent_of(department: str) -> dict[str, str]:
    return {"agent": "Dominique Exemple", "department": department}


async def test_two_departments_may_use_the_same_key_for_two_visits(
    browser: httpx.AsyncClient, published: Published
) -> None:
    visits = [("voirie", "Un lampadaire."), ("etat-civil", "Un acte.")]
    answers = [
        await browser.post("/api/v1/contacts", json=agent_of(department) | {"text": words}, headers=HEADERS)
        for department, words in visits
    ]
    contacts = [ContactReceived.model_validate_json(value) for value in await published("contact.received")]

    assert [contact.personal.text for contact in contacts] == ["Un lampadaire.", "Un acte."]
    assert [answer.json()["contact_id"] for answer in answers] == [contact.contact_id for contact in contacts]


async def test_after_a_transfer_the_new_department_may_use_a_key_of_the_old_one(
    browser: httpx.AsyncClient, project: Project, published: Published
) -> None:
    case = f"/api/v1/cases/{CONVERSATION}"
    await project(routed(CONTACT))
    await browser.post(f"{case}/reply", json=agent_of("voirie") | {"text": "Bonjour"}, headers=HEADERS)
    arrived = ConversationArrived(
        conversation_id=CONVERSATION,
        sequence=2,
        reference=CONTACT.reference,
        from_department="voirie",
        to_department="etat-civil",
        reason="Pour l'état civil.",
        at=AN_INSTANT + timedelta(seconds=2),
    )
    await project(arrived)
    await browser.post(f"{case}/reply", json=agent_of("etat-civil") | {"text": "Voici"}, headers=HEADERS)

    assert len(await published("reply.requested")) == 2
