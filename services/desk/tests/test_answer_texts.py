"""Tests that an agent inserts a prepared text into an answer, and that one with an open variable does not leave."""

from collections.abc import Awaitable, Callable

import httpx
import pytest
from services.desk.tests.test_pages import CASE, CONTACT, personal, routed

from parvis.common.testing import a_contact

pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]
Published = Callable[[str], Awaitable[list[bytes]]]
OpenForm = Callable[..., Awaitable[dict[str, str]]]
NAMELESS = a_contact(key="nameless", personal=personal(display_name=""))
NAMELESS_CASE = f"/cases/{routed(NAMELESS).routing.conversation_id}"


@pytest.mark.parametrize(("contact", "case", "greeting"), [
    (CONTACT, CASE, "Camille Exemple,"), (NAMELESS, NAMELESS_CASE, "Madame, Monsieur,"),
])  # fmt: skip
async def test_a_prepared_text_is_added_with_its_variables(
    agent: httpx.AsyncClient,
    project: Project,
    open_form: OpenForm,
    contact: object,
    case: str,
    greeting: str,
) -> None:
    await project(routed(contact))  # pyright: ignore[reportArgumentType]
    form = await open_form(agent, case, f"{case}/insert")
    typed = {"text": "Bonjour.", "answer-text": "repair-planned", "then": "waiting"}
    answer = await agent.post(f"{case}/insert", data=form | typed)
    page = (await agent.get(answer.headers["location"])).text

    assert f"Bonjour.\n\n{greeting}\nMerci de votre signalement du 2 mars 2026." in page
    assert 'name="then" type="radio" value="closed" checked' in page


async def test_only_the_texts_of_the_department_are_offered(agent: httpx.AsyncClient, project: Project) -> None:
    await project(routed(CONTACT))
    page = (await agent.get(CASE)).text

    assert 'value="repair-planned"' in page
    assert 'value="missing-document"' not in page


async def test_an_answer_with_an_open_variable_does_not_leave(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm, published: Published
) -> None:
    await project(routed(CONTACT))
    form = await open_form(agent, CASE, f"{CASE}/reply")
    answer = await agent.post(f"{CASE}/reply", data=form | {"text": "Bonjour {citizen},", "channel": "", "do": "send"})

    assert answer.status_code == 422
    assert "Il reste une variable entre accolades, comme {citizen}." in answer.text
    assert "Bonjour {citizen},</textarea>" in answer.text
    assert not await published("reply.requested")
