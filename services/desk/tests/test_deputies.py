"""Tests that a deputy has somebody's rights as long as that person has them, and that entries written at once make one chain."""

import asyncio
import re
from datetime import timedelta
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from parvis.common.runtime.clock import now
from parvis.common.storage.postgres import Database
from parvis.desk.models.accounts import AuditRecord, RoleGrant
from parvis.desk.store.accounts import add_account, add_grant, revoke_grant, set_disabled
from parvis.desk.store.audit_trail import append_audit, verify_audit
from parvis.desk.store.sessions import read_grants

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def add(database: Database, mail: str) -> str:
    account = str(uuid4())
    async with database.transaction() as connection:
        assert await add_account(connection, account, "Sacha Exemple", "local", mail=mail, at=now(), by="test")
    return account


async def grants_of(database: Database, account: str, days: int = 0) -> list[tuple[str, str, str]]:
    async with database.transaction() as connection:
        grants = await read_grants(connection, account, at=now() + timedelta(days=days))
    return [(grant.role, grant.department, " ".join(sorted(grant.confidential))) for grant in grants]


async def test_a_deputy_named_on_the_page_has_the_same_rights_until_that_day(
    browser: httpx.AsyncClient, database: Database
) -> None:
    deputy = await add(database, "sacha@town.example")
    form = {"name": "Camille Exemple", "department": "voirie", "role": "supervisor", "confidential": "none"}
    token = re.search(r'name="_csrf" value="([^"]+)"', (await browser.get("/login")).text)
    assert token
    assert (await browser.post("/login", data=form | {"_csrf": token[1]})).status_code == 303
    token = re.search(r'name="_csrf" value="([^"]+)"', (await browser.get("/me")).text)
    assert token
    until = (now() + timedelta(days=10)).date().isoformat()

    for mail, day in (
        ("nobody@town.example", until),
        ("sacha@town.example", "2020-01-01"),
        ("sacha@town.example", "9999-12-31"),
    ):
        refused = await browser.post("/me/deputy", data={"_csrf": token[1], "mail": mail, "until": day})
        assert refused.status_code == 422
    named = await browser.post("/me/deputy", data={"_csrf": token[1], "mail": "Sacha@town.example", "until": until})

    assert named.headers["location"] == "/me?notice=deputy_named"
    assert await grants_of(database, deputy) == [("supervisor", "voirie", "")]
    assert await grants_of(database, deputy, days=12) == []


async def test_a_deputy_loses_what_the_person_loses(database: Database) -> None:
    person, deputy, at = await add(database, "p@town.example"), await add(database, "d@town.example"), now()
    own = RoleGrant("agent", "voirie", frozenset({"social"}), str(uuid4()))
    async with database.transaction() as connection:
        await add_grant(connection, person, own, at=at, by="test")
        for kinds in (frozenset({"social"}), frozenset({"social", "minors"})):
            passed_on = RoleGrant("agent", "voirie", kinds, source="deputy", expires_at=at + timedelta(days=1))
            await add_grant(connection, deputy, passed_on, at=at, by="test", deputy_of=person)
    assert await grants_of(database, deputy) == [("agent", "voirie", "social")]

    async with database.transaction() as connection:
        await set_disabled(connection, person, at)
    assert await grants_of(database, deputy) == []
    async with database.transaction() as connection:
        await set_disabled(connection, person, None)
        assert await revoke_grant(connection, person, own.grant_id, at=at, by="test")
    assert await grants_of(database, deputy) == []


async def test_entries_that_are_written_at_once_make_one_chain(database: Database) -> None:
    async def write(number: int) -> None:
        async with database.transaction() as connection:
            await append_audit(connection, AuditRecord(now(), "", "Agent", "case.read", detail=str(number)))

    await asyncio.gather(*(write(number) for number in range(30)))
    async with database.transaction() as connection:
        verdict = await verify_audit(connection)
        written = await connection.scalar(text("select count(*) from desk.audit_entry"))

    assert (verdict.fault, verdict.entries) == ("", written)
    assert verdict.entries >= 30
