"""Tests that a draft is an account's, also where two people have one name, and that drafts of before are kept."""

import importlib.util
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest
from services.desk.tests.test_api_rights import add_program
from services.desk.tests.test_colleagues import API, LogIn, log_in
from services.desk.tests.test_pages import CASE, CONTACT, routed
from sqlalchemy import Connection, text

import parvis.desk
from parvis.common.storage.postgres import Database, migrations_folder
from parvis.desk.models.accounts import RoleGrant

_ = log_in
pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]
OpenForm = Callable[..., Awaitable[dict[str, str]]]
SUPERVISOR = {"role": "supervisor"}


async def type_answer(browser: httpx.AsyncClient, open_form: OpenForm, words: str) -> None:
    form = await open_form(browser, CASE, f"{CASE}/draft")
    await browser.post(f"{CASE}/draft", data=form | {"text": words})


async def test_two_people_of_one_name_have_a_draft_and_files_each(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm, log_in: LogIn
) -> None:
    await project(routed(CONTACT))
    namesake = await log_in("Dominique Exemple", **SUPERVISOR)
    for browser, words in ((agent, "De la première."), (namesake, "De la seconde.")):
        form = await open_form(browser, CASE, f"{CASE}/attach")
        file = {"files": (f"{words}txt", f"Pièce. {words}".encode())}
        await browser.post(f"{CASE}/attach", data=form | {"text": words}, files=file)
    first, second = (await agent.get(CASE)).text, (await namesake.get(CASE)).text
    assert ("De la première." in first, "De la seconde." in first) == (True, False)
    assert ("De la première." in second, "De la seconde." in second) == (False, True)

    await agent.post(f"{CASE}/reply", data=await open_form(agent, CASE, f"{CASE}/reply") | {"text": "De la première."})
    assert "De la seconde.</textarea>" in (await namesake.get(CASE)).text


async def test_who_is_renamed_finds_their_draft(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm, log_in: LogIn, database: Database
) -> None:
    await project(routed(CONTACT))
    browser = await log_in("Ancien Exemple")
    await type_answer(browser, open_form, "Commencé avant.")
    async with database.transaction() as connection:
        await connection.execute(text("update desk.account set name = 'Nouveau Exemple' where name = 'Ancien Exemple'"))
    assert "Commencé avant.</textarea>" in (await browser.get(CASE)).text


async def test_a_program_keeps_the_draft_of_the_one_agent_whom_it_names(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm, log_in: LogIn, database: Database
) -> None:
    await project(routed(CONTACT))
    program = {"authorization": f"Bearer {await add_program(database, RoleGrant('agent', 'voirie'))}"}
    only, nobody = await log_in("Seule Exemple"), "Nemo Exemple"
    for name in ("Seule Exemple", nobody):
        body = {"agent": name, "department": "voirie", "text": f"Pour {name}."}
        assert (await agent.put(f"/api/v1{CASE}/draft", json=body, headers=program)).status_code == 204
        query = {"agent": name, "department": "voirie"}
        kept = await agent.get(f"/api/v1{CASE}/draft", params=query, headers=program)
        assert kept.json()["text"] == f"Pour {name}."
    assert "Pour Seule Exemple.</textarea>" in (await only.get(CASE)).text

    for role in ("agent", "supervisor"):
        await log_in("Deux Exemple", role=role)
    body = {"agent": "Deux Exemple", "department": "voirie", "text": "Pour laquelle ?"}
    await agent.put(f"/api/v1{CASE}/draft", json=body, headers=API)
    either = await log_in("Deux Exemple", **SUPERVISOR)
    assert "Pour laquelle ?" not in (await either.get(CASE)).text


def _migrate(connection: Connection, version: str) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations_folder(parvis.desk)))
    config.set_main_option("path_separator", "os")
    config.attributes.update(connection=connection, schema="desk")
    (command.downgrade if version != "heads" else command.upgrade)(config, version)


def _version_before() -> str:
    folder = migrations_folder(parvis.desk)
    assert folder
    (path,) = folder.glob("versions/*_drafts_of_accounts.py")
    spec = importlib.util.spec_from_file_location("migration", path)
    assert spec
    assert spec.loader
    migration = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(migration)
    return migration.down_revision


async def test_drafts_of_before_go_to_the_accounts_of_that_name(
    agent: httpx.AsyncClient, log_in: LogIn, database: Database, project: Project
) -> None:
    await project(routed(CONTACT))
    namesake = await log_in("Dominique Exemple", **SUPERVISOR)
    await log_in("Dominique Exemple", department="etat-civil")
    await namesake.get("/queue")
    case, file = CASE.rpartition("/")[2], str(uuid4())
    old: dict[str, Any] = {"case": case, "file": file}
    async with database.engine.begin() as connection:
        await connection.run_sync(_migrate, _version_before())
        for name in ("Dominique Exemple", "Nemo Exemple"):
            draft = """insert into desk.draft (conversation_id, department, agent, fields, saved_at)
                values (:case, 'voirie', :agent, '{"text": "De la veille."}', now())"""
            await connection.execute(text(draft), old | {"agent": name})
        kept = """insert into desk.draft_file (file_id, conversation_id, department, agent, file, added_at)
            values (:file, :case, 'voirie', 'Dominique Exemple', '{}', now())"""
        await connection.execute(text(kept), old)
        await connection.run_sync(_migrate, "heads")
        owners = await connection.scalars(text("select owner from desk.draft order by owner"))
        (of_file,) = await connection.scalars(text("select owner from desk.draft_file"))
    found = list(owners)
    assert (len(found), found[-1]) == (3, "name:Nemo Exemple")
    assert of_file in found[:2]
    async with database.transaction() as connection:
        await connection.execute(text("delete from desk.draft_file"))
    for browser in (agent, namesake):
        assert "De la veille.</textarea>" in (await browser.get(CASE)).text
