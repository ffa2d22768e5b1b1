"""Tests that reports of one place are found, by house number or within fifty metres, and shown together."""

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from services.desk.tests.test_pages import personal, routed
from sqlalchemy import text

from parvis.common.contract.routing.decisions import ContactRouted
from parvis.common.storage.postgres import Database
from parvis.common.testing import AN_INSTANT, a_contact
from parvis.desk.decide.place_of_contact import normalize_address
from parvis.desk.models.accounts import HiddenCases
from parvis.desk.store.same_place import count_same_place

Project = Callable[..., Awaitable[None]]
in_the_module = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize(
    ("typed", "place"),
    [
        ("12 rue Haute", "12 rue haute"),
        ("12, R. HAUTE, 00100 Val-Exemple", "12 rue haute"),
        ("Rue Haute, n° 12", "12 rue haute"),
        ("Devant le 12 rue Haute", "12 rue haute"),
        ("12 bis av. de l'Église", "12bis avenue de l eglise"),
        ("12BIS avenue de l’Eglise\n00100 Val-Exemple", "12bis avenue de l eglise"),
        ("12 allée des Bouleaux", "12 allee des bouleaux"),
        ("rue Haute", None),
        ("Derrière l’école", None),
        ("00100 Val-Exemple", None),
        ("12", None),
        ("", None),
    ],
)
def test_one_place_is_the_same_however_it_is_written(typed: str, place: str | None) -> None:
    assert normalize_address(typed) == place


def report(key: str, place: str, **changes: Any) -> ContactRouted:
    answers = {"problem": "pothole", "place": place}
    contact = a_contact(key=key, channel="web", procedure="road-report", personal=personal("", answers=answers))
    return routed(contact, procedure="road-report", **changes)


HERE = [report("a", "12 rue Haute"), report("b", "12, r. Haute"), report("c", "12 RUE HAUTE, 00100 Val-Exemple")]
ELSEWHERE = [
    report("d", "14 rue Haute"),
    report("e", "rue Haute"),
    report("f", "12 rue Haute", department="etat-civil"),
    report("g", "12 rue Haute", received_at=AN_INSTANT - timedelta(days=40)),
]


def ids(*events: ContactRouted) -> set[str]:
    return {event.routing.conversation_id for event in events}


def listed(page: str) -> set[str]:
    return set(re.findall(r'id="c-([0-9a-f-]+)"', page))


@in_the_module
async def test_queue_and_case_say_how_many_reports_a_place_has_and_lead_to_them(
    agent: httpx.AsyncClient, project: Project
) -> None:
    await project(*HERE, *ELSEWHERE)
    queue = (await agent.get("/queue")).text
    assert queue.count("3 signalements de ce lieu") == 3
    one = HERE[1].routing.conversation_id
    case = (await agent.get(f"/cases/{one}")).text
    assert "3 signalements de ce lieu" in case
    assert f'href="/queue?show=open&amp;place={one}"' in case
    assert listed((await agent.get(f"/queue?show=open&place={one}")).text) == ids(*HERE)
    assert "signalements de ce lieu" not in (await agent.get(f"/cases/{ELSEWHERE[0].routing.conversation_id}")).text


@in_the_module
async def test_points_within_fifty_metres_are_one_place(agent: httpx.AsyncClient, project: Project) -> None:
    here, near = report("a", "geo:45.10000,1.20000"), report("b", "geo:45.10030,1.20030")  # 33 m north, 24 m east
    await project(here, near, report("c", "geo:45.10040,1.20020"), report("d", "geo:45.10000,1.20100"))
    found = listed((await agent.get(f"/queue?place={here.routing.conversation_id}")).text)
    assert ids(here, near) <= found
    assert len(found) == 3  # the fourth is 79 m away


@in_the_module
async def test_hidden_closed_and_foreign_cases_do_not_count(
    agent: httpx.AsyncClient, project: Project, database: Database
) -> None:
    await project(*HERE, ELSEWHERE[2])
    first, second, _ = HERE
    async with database.transaction() as connection:
        closed = text("update desk.case_file set state = 'closed' where conversation_id = :id")
        await connection.execute(closed, {"id": second.routing.conversation_id})
        one = first.routing.conversation_id
        assert await count_same_place(connection, [one], HiddenCases()) == {one: 2}
        assert await count_same_place(connection, [one], HiddenCases(procedures=("road-report",))) == {}
    foreign = ELSEWHERE[2].routing.conversation_id
    assert listed((await agent.get(f"/queue?place={foreign}")).text) == set()


@in_the_module
async def test_no_count_reads_the_whole_table(database: Database) -> None:
    filling = """
        insert into desk.case_file (conversation_id, reference, department, received_at, answer_due_at, changed_at, state, place)
        select gen_random_uuid(), 'P-' || n, 'voirie', now(), now(), now(), 'open', n || ' rue haute' from generate_series(1, 20000) n
    """
    counting = """
        explain select this.conversation_id, count(*) from desk.case_file this join desk.case_file on case_file.department = this.department
        and (case_file.place = this.place or case_file.latitude between this.latitude - 0.00045 and this.latitude + 0.00045)
        and case_file.state <> 'closed' where this.conversation_id in (select conversation_id from desk.case_file limit 50) group by 1
    """
    async with database.transaction() as connection:
        await connection.execute(text(filling))
        await connection.execute(text("analyze desk.case_file"))
        plan = "\n".join(await connection.scalars(text(counting)))
    assert "case_place" in plan
