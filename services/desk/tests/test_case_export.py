"""Tests the download of a department's cases: safe for spreadsheets, complete, streamed, by right, and in the audit trail."""

import csv
import io
import json
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.storage.postgres import Database
from parvis.common.town.models import TownConfig
from parvis.desk.models.accounts import RoleGrant
from parvis.desk.models.case import NO_DATE, STATES, URGENCY_RANKS, Agent, Case
from parvis.desk.models.queue import EVERY_CASE, QueueFilter
from parvis.desk.render.case_export import COLUMNS, NO_LABELS, csv_head, csv_lines, export_row, json_items
from parvis.desk.schema.case_tables import case_file
from parvis.desk.store import accounts as account_store
from parvis.desk.store import case_exports
from parvis.desk.store.case_exports import CaseExport, ExportInterrupted
from parvis.desk.store.queue_queries import QueueReader
from parvis.desk.store.sessions import begin_session
from parvis.desk.verify.agent_sessions import hash_token, new_token

on_database = pytest.mark.asyncio(loop_scope="module")
Send = Callable[..., Awaitable[httpx.Response]]
NOW, PARIS = datetime.now(UTC).replace(microsecond=0), ZoneInfo("Europe/Paris")
STORABLE = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))


def read(body: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(body.removeprefix("\ufeff"), newline="")))


@given(subject=STORABLE, citizen=st.sampled_from("=+-@\t\r\n＝＋－＠").flatmap(lambda sign: STORABLE.map(sign.__add__)))
def test_each_text_comes_back_and_none_is_a_formula(subject: str, citizen: str) -> None:
    case = Case("id", "P-1", "voirie", NOW, NOW, subject=subject, citizen=citizen, longitude=-1.5, tags=["=1+1"])
    (row,) = read(csv_head() + csv_lines([export_row(case)], PARIS))
    assert set(row) == set(COLUMNS)
    assert row["subject"].removeprefix("'") == subject.removeprefix("'")
    assert row["citizen"] == f"'{citizen}"
    assert row["tags"] == "'=1+1"
    assert row["longitude"] == "-1.5"
    numbers = {"longitude", "latitude", "contacts"}
    assert not [name for name in row if name not in numbers and row[name].startswith(tuple("=+-@\t\r\n＝＋－＠"))]


def test_a_date_that_is_none_is_empty_and_others_are_of_the_towns_clock() -> None:
    case = Case("id", "P-1", "voirie", datetime(2026, 7, 1, 12, tzinfo=UTC), NOW, answer_due_at=NO_DATE)
    (row,) = read(csv_head() + csv_lines([export_row(case)], PARIS))
    assert (row["received_at"], row["answer_due_at"]) == ("2026-07-01 14:00:00", "")
    assert (
        json.loads(f"[{json_items([export_row(case)], is_first=True)}]")[0]["received_at"]
        == "2026-07-01T12:00:00+00:00"
    )


async def insert(database: Database, **values: Any) -> str:
    row = {
        "conversation_id": str(uuid.uuid4()), "reference": "P-1", "department": "voirie", "state": "open",
        "undelivered": False, "urgency": 2, "channel": "sms", "received_at": NOW, "changed_at": NOW, "tags": [],
        "answer_due_at": NOW + timedelta(days=40), "escalate_at": NO_DATE, "contacts": 1, "department_sequence": 1,
        "subject": "", "snippet": "", "citizen": "",
    } | values  # fmt: skip
    async with database.transaction() as connection:
        await connection.execute(case_file.insert().values(**row))
    return str(row["conversation_id"])


async def fill(database: Database) -> None:
    for number, state in enumerate(STATES):
        await insert(database, reference=f"P-{number}", state=state, subject='=HYPERLINK("http://x.example")')
    await insert(database, reference="P-minors", procedure="school-meals")
    await insert(database, reference="P-elsewhere", department="etat-civil")
    await insert(database, reference="P-damaged", urgency=77)


async def log_in(send: Send, role: str, confidential: str = "none") -> None:
    await send("/login", "/login", name="Dominique Exemple", department="voirie", role=role, confidential=confidential)


def references(answer: httpx.Response) -> list[str]:
    return sorted(row["reference"] for row in json.loads(answer.text))


@on_database
async def test_a_supervisor_downloads_a_list_or_all_without_what_is_hidden_from_them(
    browser: httpx.AsyncClient, send: Send, database: Database
) -> None:
    await fill(database)
    await log_in(send, "supervisor")
    assert 'action="/queue/export"' in (await browser.get("/queue")).text
    answer = await browser.get("/queue/export?show=closed&format=csv")
    assert answer.text.startswith('\ufeff"Référence","Identifiant"')
    (row,) = read(answer.text)
    assert (row["État"], row["Objet"], row["Service"]) == (
        "Clos",
        '\'=HYPERLINK("http://x.example")',
        "Voirie et éclairage",
    )
    assert answer.headers["content-disposition"].startswith('attachment; filename="voirie-')
    everything = await browser.get("/queue/export?what=all&format=json")
    assert references(everything) == ["P-0", "P-1", "P-2", "P-damaged"]
    await log_in(send, "supervisor", "all")
    assert "P-minors" in references(await browser.get("/queue/export?what=all&format=json"))
    async with database.transaction() as connection:
        recorded = "select detail from desk.audit_entry where action = 'queue.export' order by number desc limit 1"
        assert await connection.scalar(text(recorded)) == "what=all format=json"


@on_database
async def test_an_agent_sees_no_button_and_gets_no_file(
    browser: httpx.AsyncClient, send: Send, database: Database
) -> None:
    await fill(database)
    await log_in(send, "agent")
    assert "/queue/export" not in (await browser.get("/queue")).text
    assert (await browser.get("/queue/export?what=all&format=csv")).status_code == 403


async def add_program(database: Database) -> str:
    """A program with the rights of a supervisor. Gives its token."""
    account, token, at = str(uuid.uuid4()), new_token(), datetime.now(UTC)
    async with database.transaction() as connection:
        await account_store.add_account(connection, account, "Program", "program", mail=None, at=at, by="test")
        await account_store.add_grant(connection, account, RoleGrant("supervisor", "*"), at=at, by="test")
        values: dict[str, object] = {"session_id": str(uuid.uuid4()), "account_id": account, "department": ""}
        await begin_session(connection, hash_token(token), values, at=at, expires_at=at + timedelta(hours=1))
    return token


@on_database
async def test_a_program_downloads_one_state_or_all(browser: httpx.AsyncClient, database: Database) -> None:
    await fill(database)
    parameters = {"department": "voirie", "format": "json"}
    token = {"authorization": f"Bearer {await add_program(database)}"}
    closed = await browser.get("/api/v1/export", params=parameters | {"state": "closed"}, headers=token)
    assert references(closed) == ["P-2"]
    refused = await browser.get("/api/v1/export", params=parameters | {"department": "none"}, headers=token)
    assert refused.status_code == 404


def an_export(database: Database, is_allowed: Callable[[AsyncConnection], Awaitable[bool]]) -> CaseExport:
    reader = QueueReader(Agent("", "voirie"), NO_DATE)
    return CaseExport(database, reader, QueueFilter(EVERY_CASE), PARIS, is_allowed, NO_LABELS)


@on_database
@pytest.mark.parametrize("form", ["csv", "json"])
async def test_each_case_is_there_once_though_all_change_while_the_file_is_read(
    database: Database, monkeypatch: pytest.MonkeyPatch, form: case_exports.ExportFormat, town_config: TownConfig
) -> None:
    monkeypatch.setattr(case_exports, "PAGE_SIZE", 3)
    expected = sorted([await insert(database, urgency=urgency) for urgency in URGENCY_RANKS.values() for _ in range(3)])

    async def change_all(connection: AsyncConnection) -> bool:
        values = {"urgency": 2 - case_file.c.urgency, "answer_due_at": NOW, "changed_at": datetime.now(UTC)}
        await connection.execute(update(case_file).values(**values))
        return True

    parts = [part async for part in an_export(database, change_all).text(form)]
    assert len(parts) == (5 if form == "csv" else 6)  # a beginning, three pages, one that is empty, an end
    rows = read("".join(parts)) if form == "csv" else json.loads("".join(parts))
    assert [row["conversation_id"] for row in rows] == expected


@on_database
async def test_a_damaged_case_is_a_row_of_its_own_and_holds_no_other(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(case_exports, "PAGE_SIZE", 2)
    for number in range(5):
        await insert(database, reference=f"P-{number}", urgency=77 if number % 2 else 2)

    async def is_allowed(_: AsyncConnection) -> bool:
        return True

    rows = read("".join([part async for part in an_export(database, is_allowed).text("csv")]))
    assert {row["reference"]: row["state"] for row in rows} == {
        "P-0": "open", "P-1": "damaged", "P-2": "open", "P-3": "damaged", "P-4": "open",
    }  # fmt: skip


@on_database
async def test_a_right_that_ends_meanwhile_cuts_the_file(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case_exports, "PAGE_SIZE", 1)
    for _ in range(3):
        await insert(database)
    answers = iter([True, True, False])

    async def is_allowed(_: AsyncConnection) -> bool:
        return next(answers)

    with pytest.raises(ExportInterrupted):
        _ = [part async for part in an_export(database, is_allowed).text("csv")]
