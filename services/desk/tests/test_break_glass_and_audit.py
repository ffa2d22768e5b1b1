"""Tests that a case opens exceptionally by its reference, and that auditors find the entries of a day."""

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy import text

from parvis.common.contract.routing.decisions import ContactRouted, Routing, make_conversation_id
from parvis.common.storage.postgres import Database
from parvis.common.testing import AN_INSTANT, a_contact
from parvis.desk.models.accounts import AuditRecord
from parvis.desk.store.audit_trail import AuditFilter, append_audit, read_audit

pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]
Send = Callable[..., Awaitable[httpx.Response]]
DAY = datetime(2031, 5, 4, tzinfo=UTC)  # of no other test


def routed(case: str, key: str, sequence: int) -> ContactRouted:
    first, contact = a_contact(key=case), a_contact(key=key)
    routing = Routing(
        conversation_id=make_conversation_id(first.contact_id, first.received_at), sequence=sequence, department="finances",
        reference=first.reference, procedure=None, rule="x", rules_version="v", confidence=1, reason={"fr": "Parce que."},
        received_at=AN_INSTANT, answer_due_at=AN_INSTANT + timedelta(days=7), decided_at=AN_INSTANT,
    )  # fmt: skip
    return ContactRouted(routing=routing, contact=contact)


@pytest.mark.parametrize(("case", "key"), [("glass", "glass"), ("vase", "vase-later")])
async def test_a_case_of_another_department_opens_by_any_of_its_references_with_a_reason(
    agent: httpx.AsyncClient, send: Send, project: Project, case: str, key: str
) -> None:
    events = [routed(case, case, 1), routed(case, f"{case}-later", 2)]
    await project(*events)
    page = events[0].routing.conversation_id
    assert (await agent.get(f"/cases/{page}")).status_code == 404
    assert "/break-glass/find" in (await agent.get("/me")).text
    found = await agent.get("/break-glass/find", params={"reference": a_contact(key=key).reference.lower()})
    assert found.headers["location"] == f"/break-glass/{page}"
    opened = await send(f"/break-glass/{page}", f"/break-glass/{page}", reason="Le maire attend la réponse.")
    assert opened.headers["location"] == f"/cases/{page}"
    assert (await agent.get(f"/cases/{page}")).status_code == 200
    again = await agent.get("/break-glass/find", params={"reference": a_contact(key=key).reference})
    assert again.headers["location"] == f"/cases/{page}"


async def test_a_reference_of_no_case_is_said_to_be_unknown(agent: httpx.AsyncClient) -> None:
    answer = await agent.get("/break-glass/find", params={"reference": '"><script>alert(1)</script>'})

    assert answer.status_code == 404
    assert "<script>alert" not in answer.text


async def test_an_auditor_finds_the_entries_of_a_day_and_pages_through_them(
    browser: httpx.AsyncClient, send: Send, database: Database
) -> None:
    async with database.transaction() as connection:
        for hour in range(-2, 27):
            await append_audit(connection, AuditRecord(DAY + timedelta(hours=hour), "", f"Agent {hour}", "case.read"))
        # Written later than others, about an earlier instant: a page's end neither repeats nor loses one.
        await append_audit(connection, AuditRecord(DAY, "", "Agent late", "case.read"))
    await send("/login", "/login", name="Andrée Audit", department="voirie", role="auditor")
    page = (await browser.get("/audit", params={"since": "2031-05-04", "until": "2031-05-04"})).text

    # The town's day is two hours ahead of UTC's.
    assert set(re.findall(r"Agent [\w-]+", page)) == {f"Agent {hour}" for hour in range(-2, 22)} | {"Agent late"}
    assert 'value="2031-05-04"' in page
    for odd in ("soon", "0001-01-01", "9999-12-31"):
        assert (await browser.get("/audit", params={"since": odd, "until": odd})).status_code == 200

    seen: list[str] = []
    day = AuditFilter(since=DAY, until=DAY + timedelta(days=1))
    async with database.transaction() as connection:
        before = None
        while entries := await read_audit(connection, AuditFilter(since=day.since, until=day.until, before=before), 7):
            seen += [entry.actor for entry in entries]
            before = entries[-1].number
    assert sorted(seen) == sorted([*(f"Agent {hour}" for hour in range(24)), "Agent late"])


async def test_the_entries_of_a_day_are_found_by_an_index(database: Database) -> None:
    query = "explain select * from desk.audit_entry where at >= now() and at < now() order by at desc, number desc limit 100"
    async with database.transaction() as connection:
        await connection.execute(text("set local enable_seqscan = off"))
        plan = "\n".join((await connection.execute(text(query))).scalars())

    assert "audit_at" in plan
    assert "Sort" not in plan
