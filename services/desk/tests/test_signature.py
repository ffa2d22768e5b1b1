"""Tests that an answer names its writer: first name, name and quality (CRPA L111-2)."""

from collections.abc import Awaitable, Callable

import httpx
import pytest
from services.desk.tests.test_pages import CASE, CONTACT, routed

from parvis.common.contract.reply import ReplyRequested
from parvis.desk.models.case import Agent

pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]
Published = Callable[[str], Awaitable[list[bytes]]]
Send = Callable[..., Awaitable[httpx.Response]]


async def test_an_answer_carries_the_name_of_its_writer_as_the_preview_shows_it(
    agent: httpx.AsyncClient, project: Project, send: Send, published: Published
) -> None:
    await project(routed(CONTACT))
    preview = await send(CASE, f"{CASE}/reply", text="Une équipe passera.", channel="", do="preview")
    assert "Dominique Exemple" in preview.text.split('class="letter"')[1].split("</div>")[0]
    await send(CASE, f"{CASE}/reply", text="Une équipe passera.", channel="", do="send")
    (value,) = await published("reply.requested")
    assert ReplyRequested.model_validate_json(value).personal.variables["agent"] == "Dominique Exemple"


async def test_a_program_gives_the_quality_of_its_agent(
    agent: httpx.AsyncClient, project: Project, published: Published
) -> None:
    await project(routed(CONTACT))
    body = {"agent": "Dominique Exemple", "department": "voirie", "quality": "responsable de secteur", "text": "Bien."}
    headers = {"authorization": "Bearer a token for tests only"}
    assert (await agent.post(f"/api/v1{CASE}/reply", json=body, headers=headers)).status_code == 200
    (value,) = await published("reply.requested")
    asked = ReplyRequested.model_validate_json(value)
    assert asked.personal.variables["agent"] == "Dominique Exemple, responsable de secteur"


async def test_who_has_no_quality_signs_by_name() -> None:
    assert Agent("Dominique Exemple", "voirie").signature == "Dominique Exemple"
