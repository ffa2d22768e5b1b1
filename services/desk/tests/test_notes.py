"""Tests internal notes and call notes: shown apart, never sent, and no reason to lose an answer that is being written."""

from collections.abc import Awaitable, Callable

import httpx
import pytest
from services.desk.tests.test_pages import CASE, CONTACT, routed

pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]
Published = Callable[[str], Awaitable[list[bytes]]]
OpenForm = Callable[..., Awaitable[dict[str, str]]]
NOTE = {"internal": "Vu avec l’élu : <prudence>.", "text": "Une équipe passera jeudi.", "then": "closed"}


@pytest.mark.parametrize(("action", "title"), [("note", "Note interne"), ("call-note", "Appel")])
async def test_a_note_is_shown_apart_and_never_sent(
    agent: httpx.AsyncClient,
    project: Project,
    open_form: OpenForm,
    published: Published,
    action: str,
    title: str,
) -> None:
    await project(routed(CONTACT))
    form = await open_form(agent, CASE, f"{CASE}/{action}") | NOTE
    for _ in range(2):  # a double click
        assert (await agent.post(f"{CASE}/{action}", data=form)).status_code == 303
    page = (await agent.get(CASE)).text

    (note,) = [part.split("</li>")[0] for part in page.split('<li class="event note">')[1:]]
    assert f"<h3>{title}</h3>" in note
    assert "Dominique Exemple" in note
    assert "Vu avec l’élu : &lt;prudence&gt;." in note
    assert "non envoyé à la personne" in note
    assert not await published("reply.requested")
    assert "Une équipe passera jeudi.</textarea>" in page  # the answer that was being written
    assert "prudence&gt;.</textarea>" not in page
    assert (await agent.get("/queue")).text.count(f'href="{CASE}"') == 1  # still open


async def test_an_empty_note_is_refused_at_its_field(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm
) -> None:
    await project(routed(CONTACT))
    answer = await agent.post(f"{CASE}/note", data=await open_form(agent, CASE, f"{CASE}/note") | {"internal": " "})

    assert answer.status_code == 422
    assert '<a href="#f-internal">' in answer.text
    assert 'aria-invalid="true"' in answer.text.split('id="f-internal"')[1].split(">")[0]
