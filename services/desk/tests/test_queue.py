"""Tests the views of the queue, their counts and the views that agents keep, on the real PostgreSQL."""

import re
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.dialects import postgresql

from parvis.common.storage.postgres import Database
from parvis.desk.models.case import Agent
from parvis.desk.models.queue import VIEWS, QueueFilter
from parvis.desk.schema.case_tables import case_file
from parvis.desk.store.queue_queries import QueueReader

pytestmark = pytest.mark.asyncio(loop_scope="module")
Send = Callable[..., Awaitable[httpx.Response]]
NOW = datetime.now(UTC)
ME = "Dominique Exemple"


async def insert(database: Database, **values: Any) -> None:
    """A case of the roads department; `subject` names it."""
    row = {
        "conversation_id": str(uuid.uuid4()), "reference": "P-1", "department": "voirie", "state": "open",
        "undelivered": False, "urgency": 2, "channel": "sms", "received_at": NOW, "changed_at": NOW,
        "answer_due_at": NOW + timedelta(days=40), "contacts": 1,
    }  # fmt: skip
    async with database.transaction() as connection:
        await connection.execute(case_file.insert().values(**(row | values)))


def titles(page: httpx.Response) -> list[str]:
    return [unescape(title) for title in re.findall(r'class="subject"[^>]*>([^<]*)<', page.text)]


async def fill(database: Database) -> None:
    await insert(database, subject="libre")
    await insert(database, subject="mine", taken_by=ME)
    await insert(database, subject="other's", taken_by="Lou Exemple")
    await insert(database, subject="waiting", state="waiting", taken_by=ME)
    await insert(database, subject="undelivered", undelivered=True, taken_by="Lou Exemple")
    await insert(database, subject="late", answer_due_at=NOW - timedelta(days=3), taken_by="Lou Exemple")
    await insert(database, subject="closed", state="closed", taken_by=ME, undelivered=True)
    await insert(database, subject="snoozed", snoozed_until=NOW + timedelta(days=2), taken_by=ME)
    await insert(database, subject="elsewhere", department="police")


async def test_each_view_shows_its_cases_and_counts_them(agent: httpx.AsyncClient, database: Database) -> None:
    await fill(database)
    expected = {
        "open": ["late", "libre", "mine", "other's", "undelivered"],
        "mine": ["mine", "waiting"],
        "unassigned": ["libre"],
        "snoozed": ["snoozed"],
        "waiting": ["waiting"],
        "undelivered": ["undelivered"],
        "today": ["late"],
        "closed": ["closed"],
    }
    for view, shown in expected.items():
        page = await agent.get(f"/queue?show={view}")
        assert sorted(titles(page)) == shown, view
        counts = dict(re.findall(r'href="/queue\?show=(\w+)"[^>]*>[^<]*<span class="count">([^<]*)<', page.text))
        assert counts == {name: str(len(cases)) for name, cases in expected.items()}


async def test_rows_stand_under_the_time_when_they_are_due(agent: httpx.AsyncClient, database: Database) -> None:
    await insert(database, subject="danger", urgency=0)
    await insert(database, subject="late", answer_due_at=NOW - timedelta(hours=30), citizen="Camille Exemple")
    await insert(database, subject="far", taken_by="Maxime Exemple")
    page = (await agent.get("/queue")).text

    heads = [page.index(f">{head}<") for head in ("Urgent", "En retard", "Plus tard")]
    assert heads == sorted(heads)
    assert "late — Camille Exemple" in page
    assert '<abbr title="Maxime Exemple">ME</abbr>' in page


async def test_filters_narrow_a_view_and_can_be_kept_under_a_name(
    agent: httpx.AsyncClient, database: Database, send: Send
) -> None:
    await insert(database, subject="letter", channel="post")
    await insert(database, subject="message")
    address = "/queue?show=open&channel=post"
    assert titles(await agent.get(address)) == ["letter"]

    saved = await send(address, "/queue/views", name="Lettres à lire", do="save")
    assert saved.headers["location"] == address
    assert "Lettres à lire" in (await agent.get("/queue")).text
    assert 'href="/queue?show=open"><span class="unseen">Retirer le filtre' in (await agent.get(address)).text
    await send("/login", "/login", name="Lou Exemple", department="voirie")
    assert "Lettres à lire" not in (await agent.get("/queue")).text
    await send("/login", "/login", name=ME, department="voirie")
    await send(address, "/queue/views", name="Lettres à lire", do="delete")
    assert "Lettres à lire" not in (await agent.get("/queue")).text


async def test_counting_reads_a_thousand_cases_at_most(agent: httpx.AsyncClient, database: Database) -> None:
    fill_many = """insert into desk.case_file (conversation_id, reference, department, state, received_at, changed_at, answer_due_at, taken_by)
        select gen_random_uuid(), 'P-1', 'voirie', case when n % 10 = 0 then 'open' else 'closed' end, now(), now(), now() + n * interval '1 minute', 'A' || n % 50
        from generate_series(1, 30000) n"""
    async with database.transaction() as connection:
        await connection.execute(text(fill_many))
        await connection.execute(text("analyze desk.case_file"))
    page = await agent.get("/queue")
    assert re.findall(r'show=(?:open|closed)"[^>]*>[^<]*<span class="count">([^<]*)<', page.text) == ["1 000+"] * 2

    reader = QueueReader(Agent("A7", "voirie"), NOW)
    async with database.transaction() as connection:
        for view in VIEWS:
            query = reader.capped_count(QueueFilter(view))
            compiled = str(query.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True}))
            plan = "\n".join((await connection.exec_driver_sql(f"explain (analyze) {compiled}")).scalars())
            assert "Seq Scan" not in plan, plan
            assert all(int(rows) <= 1001 for rows in re.findall(r"actual.*?rows=(\d+)", plan)), plan
