"""Tests that the reference which an agent types at the counter leaves with the contact, or is asked for again."""

import httpx
import pytest

from parvis.common.contract.contact import ContactReceived

from .conftest import Published, Send
from .test_pages import CONTACT

pytestmark = pytest.mark.asyncio(loop_scope="module")
NOTE = {"channel": "counter", "text": "Elle rappelle à propos du trou."}


async def test_the_reference_leaves_with_the_contact(
    agent: httpx.AsyncClient, send: Send, published: Published
) -> None:
    typed = CONTACT.reference.lower().replace("-", " ")
    answer = await send("/counter", "/counter", **NOTE, reference=typed)
    assert answer.status_code == 303
    (value,) = await published("contact.received")
    contact = ContactReceived.model_validate_json(value)
    assert (contact.sender.level, contact.thread.reference) == ("staff", CONTACT.reference)


@pytest.mark.parametrize("typed", ["P-ZFVV", f"{CONTACT.reference[:-1]}{'0' if CONTACT.reference[-1] != '0' else '1'}"])
async def test_a_mistyped_reference_opens_no_new_case(
    agent: httpx.AsyncClient, send: Send, published: Published, typed: str
) -> None:
    answer = await send("/counter", "/counter", **NOTE, reference=typed)
    assert answer.status_code == 422
    assert "Cette référence n’est pas complète ou contient une faute." in answer.text
    assert 'href="#f-reference"' in answer.text
    assert typed in answer.text
    assert NOTE["text"] in answer.text
    assert await published("contact.received") == []
