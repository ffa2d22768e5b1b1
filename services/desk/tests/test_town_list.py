"""Tests the list of the whole town's cases: states and dates of every department for reception, no texts, and no confidential case."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from services.desk.tests.test_api_rights import add_program
from services.desk.tests.test_colleagues import LogIn, log_in
from services.desk.tests.test_pages import personal, routed
from services.desk.tests.test_search_plans import Explained
from sqlalchemy import text

from parvis.common.contract.routing.decisions import ContactRouted
from parvis.common.storage.postgres import Database
from parvis.common.testing import AN_INSTANT, a_contact
from parvis.desk.models.accounts import HiddenCases, RoleGrant
from parvis.desk.models.town_list import TownFilter
from parvis.desk.store.town_list import read_town_page

_ = log_in
pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]
RECEPTION = {"role": "counter", "confidential": "none"}
_MANY = """
insert into desk.case_file (conversation_id, reference, department, state, received_at, answer_due_at, changed_at, urgency, contacts)
select gen_random_uuid(), 'P-' || n, case when n % 1000 = 0 then 'etat-civil' else 'voirie' end,
    case when n % 5 = 0 then 'open' else 'closed' end, timestamptz '2026-11-01' - n * interval '1 minute', now(), now(), 2, 1
from generate_series(1, 20000) n
"""


def case(key: str, department: str, *, days: int = 0, **changes: Any) -> ContactRouted:
    at = AN_INSTANT - timedelta(days=days)
    contact = a_contact(
        key=key, received_at=at, personal=personal("Un secret de Camille.", display_name="Camille Exemple"), **changes
    )
    return routed(contact, department=department, received_at=at, procedure=contact.procedure)


ROADS, RECORDS = case("roads", "voirie"), case("records", "etat-civil", days=2)
CHILD, SOCIAL = case("child", "etat-civil", procedure="school-meals"), case("social", "social-ccas")


async def test_reception_sees_where_the_cases_of_all_departments_stand_and_nothing_else(
    project: Project, log_in: LogIn
) -> None:
    await project(ROADS, RECORDS, CHILD, SOCIAL)
    desk = await log_in("Accueil Exemple", **RECEPTION)
    page = (await desk.get("/town")).text
    assert 'href="/town" aria-current="page"' in page
    for event, name in ((ROADS, "Voirie et éclairage"), (RECORDS, "État civil")):
        row = page.split(event.routing.reference, 1)[1].split("</tr>")[0]
        assert name in row
        assert "À traiter" in row
        assert f'href="/counter?q={event.routing.reference}"' in row
    assert page.index(ROADS.routing.reference) < page.index(RECORDS.routing.reference)  # the latest first
    for hidden in ("Camille", "secret", CHILD.routing.reference, SOCIAL.routing.reference, 'href="/cases/'):
        assert hidden not in page


async def test_it_is_narrowed_by_state_department_and_day(
    agent: httpx.AsyncClient, project: Project, log_in: LogIn, database: Database
) -> None:
    await project(ROADS, RECORDS)
    async with database.transaction() as connection:
        closed = text("update desk.case_file set state = 'closed' where reference = :reference")
        await connection.execute(closed, {"reference": ROADS.routing.reference})
    desk = await log_in("Accueil Exemple", **RECEPTION)
    day = RECORDS.routing.received_at.date().isoformat()
    for query, expected in {
        "": [RECORDS],
        "?show=closed": [ROADS],
        "?of=voirie": [],
        f"?of=etat-civil&day={day}": [RECORDS],
        "?day=2020-01-01": [],
        "?day=0001-01-01": [],
        "?show=x&of=x&day=x&after=x": [RECORDS],
    }.items():
        page = (await desk.get(f"/town{query}")).text
        assert [event for event in (ROADS, RECORDS) if event.routing.reference in page] == expected, query


async def test_an_agent_opens_the_cases_that_they_may_read_and_sees_the_state_of_others(
    agent: httpx.AsyncClient, project: Project
) -> None:
    mine, child = case("own roads", "voirie"), case("own child", "voirie", procedure="school-meals")
    await project(mine, child, RECORDS, CHILD, SOCIAL)
    page = (await agent.get("/town")).text
    for event in (mine, child):
        assert f'href="/cases/{event.routing.conversation_id}">{event.routing.reference}</a>' in page
    assert f">{RECORDS.routing.reference}</span>" in page
    for event in (CHILD, SOCIAL):
        assert event.routing.reference not in page


async def test_who_looked_is_in_the_audit_trail_and_other_roles_see_nothing(
    project: Project, log_in: LogIn, database: Database
) -> None:
    await project(ROADS)
    desk = await log_in("Accueil Exemple", **RECEPTION)
    await desk.get("/town?of=voirie")
    async with database.transaction() as connection:
        query = text(
            "select actor, detail from desk.audit_entry where action = 'town.read' order by number desc limit 1"
        )
        assert tuple((await connection.execute(query)).one()) == ("Accueil Exemple", "of=voirie")
    for role in ("auditor", "administrator"):
        other = await log_in(f"Sacha {role}", role=role)
        assert (await other.get("/town")).status_code == 403


async def test_pages_follow_each_other(project: Project, log_in: LogIn, database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(text(_MANY))
    desk = await log_in("Accueil Exemple", **RECEPTION)
    seen: list[str] = []
    path: str | None = "/town?of=etat-civil"
    while path:
        page = (await desk.get(path)).text
        seen += [row.split("<")[0] for row in page.split('<span class="mono">')[1:]]
        path = page.split('rel="next"')[0].rpartition('href="')[2].split('"')[0] if 'rel="next"' in page else None
        path = path and path.replace("&amp;", "&")
    assert seen == [f"P-{n}" for n in range(1000, 20001, 1000)]


@pytest.mark.parametrize("wanted", [TownFilter(), TownFilter("closed"), TownFilter(department="voirie")])
async def test_no_page_reads_the_whole_table(database: Database, wanted: TownFilter) -> None:
    async with database.transaction() as connection:
        await connection.execute(text(_MANY))
        await connection.execute(text("analyze desk.case_file"))
    hidden = {HiddenCases(): ["etat-civil", "voirie"], HiddenCases(everything=True): ["social-ccas"]}
    async with database.transaction() as connection:
        explained: Any = Explained(connection)
        page = await read_town_page(
            explained, wanted, hidden, after=(datetime(2026, 10, 30, tzinfo=UTC), ROADS.routing.conversation_id)
        )
    assert len(page.cases) == 50
    assert "Index Scan using case_" in explained.plans[0], explained.plans
    assert "Seq Scan" not in explained.plans[0], explained.plans


async def test_a_program_gets_the_same_list(browser: httpx.AsyncClient, project: Project, database: Database) -> None:
    await project(ROADS, RECORDS, SOCIAL)
    token = await add_program(database, RoleGrant("counter", "triage"))
    headers = {"authorization": f"Bearer {token}"}
    answer = await browser.get("/api/v1/town", params={"department": "triage", "limit": 1}, headers=headers)
    (first,) = answer.json()["cases"]
    assert (first["reference"], first["state"], first["is_taken"]) == (ROADS.routing.reference, "open", False)
    assert {"subject", "citizen", "snippet", "procedure", "tags"}.isdisjoint(first)
    query = {"department": "triage", "after": answer.json()["after"]}
    rest = (await browser.get("/api/v1/town", params=query, headers=headers)).json()
    assert ([one["reference"] for one in rest["cases"]], rest["after"]) == ([RECORDS.routing.reference], None)
    day = RECORDS.routing.received_at.date().isoformat()
    for more, status in (
        ({"of": "voirie", "day": day}, 200),
        ({"of": "x"}, 404),
        ({"after": "x"}, 422),
        ({"day": "0001-01-01"}, 200),
        ({"day": "9999-12-31"}, 200),
    ):
        answer = await browser.get("/api/v1/town", params={"department": "triage"} | more, headers=headers)
        assert answer.status_code == status
    elsewhere = await browser.get("/api/v1/town", params={"department": "voirie"}, headers=headers)
    assert elsewhere.status_code == 403
