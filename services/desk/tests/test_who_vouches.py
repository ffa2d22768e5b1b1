"""Tests that an agent who may not read a case changes nothing about who is answered in it, and that a chosen address is the only one."""

import httpx
import pytest

from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.find_addressee import KNOWN_CASE
from parvis.common.contract.reply import ReplyRequested

from .conftest import Project, Published, Send
from .test_pages import CASE, CONTACT, VISIT, routed

pytestmark = pytest.mark.asyncio(loop_scope="module")
WISH = VISIT | {"reply-channel": "sms", "reply-sms": "06 39 98 66 77"}


@pytest.mark.parametrize(("department", "vouches"), [("voirie", True), ("social-ccas", False)])
async def test_only_who_may_read_the_case_vouches_for_the_visitor(
    agent: httpx.AsyncClient, project: Project, send: Send, published: Published, department: str, vouches: bool
) -> None:
    await project(routed(CONTACT, department=department))
    answer = await send("/counter", "/counter", **WISH, reference=CONTACT.reference)
    assert answer.status_code == 303
    (value,) = await published("contact.received")
    assert (KNOWN_CASE in ContactReceived.model_validate_json(value).remarks) == vouches


async def test_a_visit_that_names_no_case_vouches_for_none(
    agent: httpx.AsyncClient, send: Send, published: Published
) -> None:
    await send("/counter", "/counter", **WISH)
    (value,) = await published("contact.received")
    assert ContactReceived.model_validate_json(value).remarks == ()


async def test_the_receipt_of_a_visit_for_another_departments_case_names_no_department(
    agent: httpx.AsyncClient, project: Project, send: Send
) -> None:
    await project(routed(CONTACT, department="social-ccas"))
    answer = await send("/counter", "/counter", **WISH, reference=CONTACT.reference)
    receipt = (await agent.get(answer.headers["location"])).text
    assert "05 36 49 01 20" not in receipt  # the department of whoever wrote it down


async def test_a_colleague_sees_a_receipt_only_with_its_case(
    agent: httpx.AsyncClient, colleague: httpx.AsyncClient, project: Project, send: Send
) -> None:
    await project(routed(CONTACT, department="social-ccas"))
    location = (await send("/counter", "/counter", **WISH, reference=CONTACT.reference)).headers["location"]
    assert (await agent.get(location)).status_code == 200
    assert (await colleague.get(location)).status_code == 404


async def test_a_form_of_a_case_that_left_opens_no_other(
    agent: httpx.AsyncClient, project: Project, send: Send, published: Published
) -> None:
    await project(routed(CONTACT, department="social-ccas"))
    answer = await send("/counter", "/counter", **VISIT, conversation=CASE.rpartition("/")[2])
    assert answer.status_code == 422
    assert VISIT["text"] in answer.text
    assert await published("contact.received") == []


@pytest.mark.parametrize(
    ("channel", "address", "said"),
    [
        ("sms", "08 99 12 34 57", "ne reçoit pas de SMS"),
        ("sms", "05 36 49 01 01", "est celle de la mairie"),
        ("sms", "05 36 49 77 77", "ne reçoit pas de SMS"),
        ("email", "mairie@example-town.example", "est celle de la mairie"),
    ],
)
async def test_an_address_that_nothing_reaches_is_refused_at_once(
    agent: httpx.AsyncClient, project: Project, send: Send, published: Published, channel: str, address: str, said: str
) -> None:
    await project(routed(CONTACT))
    typed = {"text": "Bonjour", "channel": channel, f"address-{channel}": address}
    answer = await send(CASE, f"{CASE}/reply", **typed, do="send")
    assert (answer.status_code, said in answer.text) == (422, True)
    assert await published("reply.requested") == []


@pytest.mark.parametrize(("address", "others"), [("06 39 98 77 88", 0), ("06 39 98 00 01", 1)])
async def test_an_address_chosen_in_place_of_the_known_ones_is_the_only_one(
    agent: httpx.AsyncClient, project: Project, send: Send, published: Published, address: str, others: int
) -> None:
    await project(routed(CONTACT))
    await send(CASE, f"{CASE}/reply", text="Bonjour", channel="sms", **{"address-sms": address}, do="send")
    (value,) = await published("reply.requested")
    personal = ReplyRequested.model_validate_json(value).personal
    assert (len(personal.stated), len(personal.contact_points)) == (1, others)
