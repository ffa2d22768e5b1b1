"""Tests tags that agents add and remove, in one case and in several: with an entry each, undone, and kept when messages come, move, or are read anew."""

import re
from collections.abc import Awaitable, Callable

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from services.desk.tests.conftest import Guarded
from services.desk.tests.test_bulk_acts import BY_MAIL, BY_SMS, NAMELESS, confirm, ids, preview
from services.desk.tests.test_divisions import CASE, FIRST, SECOND, in_the_case, the_split
from sqlalchemy import text

from parvis.common.contract.errors import Rejected
from parvis.common.storage.postgres import Database
from parvis.desk.decide.access_rights import form_action
from parvis.desk.decide.case_tags import read_tag
from parvis.desk.pages.access import RouteGuard

in_the_module = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]
OpenForm = Callable[..., Awaitable[dict[str, str]]]
API = {"authorization": "Bearer a token for tests only"}
WHO = {"agent": "Dominique Exemple", "department": "voirie"}


@pytest.mark.parametrize(
    ("typed", "tag"),
    [("Chantier rue Haute", "chantier-rue-haute"), (" ÉCOLE ", "ecole"), ("danger", "danger"), ("a2", "a2")],
)
def test_a_tag_is_written_as_the_rules_write_theirs(typed: str, tag: str) -> None:
    assert read_tag(typed) == tag


@pytest.mark.parametrize("typed", ["", " ", "x", "2026", "…", "a" * 32, "\x00", "<b>"])
def test_what_is_no_tag_is_refused(typed: str) -> None:
    with pytest.raises(Rejected, match="no_tag"):
        read_tag(typed)


@given(st.text())
def test_any_text_is_a_tag_or_refused(typed: str) -> None:
    try:
        assert re.fullmatch(r"[a-z][a-z0-9-]{1,30}", read_tag(typed))
    except Rejected as error:
        assert str(error) == "no_tag"  # noqa: PT017 (either is right)


async def tags_of(database: Database, conversation: str) -> list[str]:
    async with database.transaction() as connection:
        query = text("select tags from desk.case_file where conversation_id = :id")
        return await connection.scalar(query, {"id": conversation}) or []


async def send(browser: httpx.AsyncClient, open_form: OpenForm, case: str, **fields: str) -> httpx.Response:
    return await browser.post(f"{case}/tags", data=await open_form(browser, case, f"{case}/tags") | fields)


@in_the_module
async def test_an_agent_adds_and_removes_a_tag_with_an_entry_each(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm, database: Database
) -> None:
    await project(in_the_case(FIRST, 1, tags=("danger",)))
    case = CASE.rpartition("/")[2]
    assert [(await send(agent, open_form, CASE, tag="Chantier")).status_code for _ in range(2)] == [303, 303]
    assert await tags_of(database, case) == ["danger", "chantier"]
    assert (await send(agent, open_form, CASE, untag="danger")).status_code == 303
    assert await tags_of(database, case) == ["chantier"]
    page = (await agent.get(CASE)).text.replace("\xa0", " ").replace("\u202f", " ")
    assert page.count("a ajouté l’étiquette « chantier ».") == 1
    assert "a retiré l’étiquette « danger »." in page
    assert "chantier" in (await agent.get("/queue?tag=chantier")).text

    refused = await send(agent, open_form, CASE, tag="2026 !")
    assert (refused.status_code, "et commence par une lettre" in refused.text) == (422, True)
    assert 'value="2026 !"' in refused.text


@in_the_module
async def test_a_tag_that_decides_who_may_read_a_case_is_the_rules_alone(
    agent: httpx.AsyncClient,
    project: Project,
    open_form: OpenForm,
    database: Database,
    guarded_routes: Guarded,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    guard = next(check for _, _, checks in guarded_routes for check in checks if isinstance(check, RouteGuard))
    monkeypatch.setitem(guard.access.rules.confidential.tags, "enfance", frozenset({"minors"}))  # pyright: ignore[reportArgumentType]
    await project(in_the_case(FIRST, 1, tags=("enfance",)))
    page = (await agent.get(CASE)).text
    assert 'name="untag"' not in page
    for fields in ({"tag": "Enfance"}, {"untag": "enfance"}):
        assert (await send(agent, open_form, CASE, **fields)).status_code == 422
    for body in ({"add": ["enfance"]}, {"remove": ["enfance"]}):
        answer = await agent.post(f"/api/v1{CASE}/tags", json=WHO | body, headers=API)
        assert (answer.status_code, answer.json()["detail"]) == (409, "tag_locked")
    shown = await preview(agent, open_form, "tag", [CASE.rpartition("/")[2]])
    assert (await confirm(agent, open_form, shown, tag="enfance")).status_code == 422
    assert await tags_of(database, CASE.rpartition("/")[2]) == ["enfance"]


@in_the_module
async def test_several_cases_get_a_tag_after_a_preview_and_lose_it_again(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm, database: Database
) -> None:
    every = ids(BY_SMS, BY_MAIL, NAMELESS)
    await project(BY_SMS, BY_MAIL, NAMELESS)
    await agent.post(f"/api/v1/cases/{every[0]}/tags", json=WHO | {"add": ["chantier"]}, headers=API)
    page = await preview(agent, open_form, "tag", every)
    assert '<option value="chantier">' in page
    assert "Étiqueter ces 3 dossiers" in page
    wrong = await confirm(agent, open_form, page, tag="?")
    assert (wrong.status_code, 'value="?"' in wrong.text) == (422, True)

    result = (await confirm(agent, open_form, page, tag="Chantier")).headers["location"]
    shown = (await agent.get(result)).text
    assert (shown.count("étiqueté</span>"), "C’est déjà le cas." in shown) == (2, True)
    assert [await tags_of(database, case) for case in every] == [["chantier"]] * 3

    await agent.post(f"{result}/undo", data=await open_form(agent, result, f"{result}/undo"))
    assert (await agent.get(result)).text.count("annulé</span>") == 2
    assert sorted([await tags_of(database, case) for case in every]) == [[], [], ["chantier"]]


@in_the_module
async def test_only_cases_with_a_tag_can_lose_one(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm, database: Database
) -> None:
    tagged, bare = ids(BY_SMS, BY_MAIL)
    await project(BY_SMS, BY_MAIL)
    await agent.post(f"/api/v1/cases/{tagged}/tags", json=WHO | {"add": ["chantier", "urgent"]}, headers=API)
    page = await preview(agent, open_form, "untag", [tagged, bare])
    assert "1 dossier laissé de côté" in page
    assert re.findall(r'<option value="([a-z]+)"></option>', page) == ["chantier", "urgent"]
    result = (await confirm(agent, open_form, page, tag="urgent")).headers["location"]
    assert await tags_of(database, tagged) == ["chantier"]
    await agent.post(f"{result}/undo", data=await open_form(agent, result, f"{result}/undo"))
    assert await tags_of(database, tagged) == ["chantier", "urgent"]


@in_the_module
async def test_what_agents_tagged_stays_when_messages_come_late_and_leave(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm, database: Database
) -> None:
    await project(in_the_case(SECOND, 2, tags=("facture",)))
    await send(agent, open_form, CASE, tag="chantier")
    await send(agent, open_form, CASE, untag="facture")
    await project(in_the_case(FIRST, 1, tags=("danger",)))  # earlier than what is there: all is summarised anew
    case = CASE.rpartition("/")[2]
    assert await tags_of(database, case) == ["danger", "chantier"]
    await project(*the_split())
    assert await tags_of(database, case) == ["danger", "chantier"]


@in_the_module
async def test_a_program_tags_a_case_and_names_too_many(
    browser: httpx.AsyncClient, project: Project, database: Database
) -> None:
    await project(in_the_case(FIRST, 1))
    answer = await browser.post(f"/api/v1{CASE}/tags", json=WHO | {"add": ["Un", "deux", "un"]}, headers=API)
    assert (answer.status_code, answer.json()["tags"]) == (200, ["un", "deux"])
    answer = await browser.post(f"/api/v1{CASE}/tags", json=WHO | {"add": ["trois"], "remove": ["un"]}, headers=API)
    assert answer.json()["tags"] == ["deux", "trois"]
    for body, why in (({"add": ["?"]}, "no_tag"), ({"add": [f"mot{n}" for n in range(19)]}, "too_many_tags")):
        refused = await browser.post(f"/api/v1{CASE}/tags", json=WHO | body, headers=API)
        assert (refused.status_code, refused.json()["detail"]) == (409, why)
    elsewhere = await browser.post(f"/api/v1{CASE}/tags", json=WHO | {"department": "etat-civil"}, headers=API)
    assert elsewhere.status_code == 404


def test_tagging_needs_the_right_to_change_the_case() -> None:
    assert form_action("tags") == "case.change"
