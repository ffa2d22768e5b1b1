"""Tests that the cases rebuilt from the topics equal those that were there, after contacts on every channel and all that agents do."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from parvis.common.bus.admin import is_group_active
from parvis.common.bus.topic_reader import consumer_lag
from parvis.common.contract.topics import DELIVERY_UPDATED, department_topic
from parvis.common.storage.postgres import Database
from parvis.common.town.loading import load_town_config
from parvis.local.citizen_client import Citizens
from parvis.local.demo.agents import DemoAgents
from parvis.local.demo.scenario import DemoCast, leave_open_cases
from parvis.local.demo.watch import JourneyWatch
from parvis.local.stack import Stack
from tests.journey.until import routed
from tests.patience import PATIENCE_S

pytestmark = [pytest.mark.journey, pytest.mark.stack]
# What the desk's own acts decide, and the time at which the desk did something: they stand in its database alone.
OWN = {"state", "taken_by", "snoozed_until", "changed_at", "undelivered", "procedure"}
CHANNELS = {"sms", "whatsapp", "email", "web", "post", "counter", "phone"}
Rows = dict[str, list[dict[str, Any]]]
TABLES = {
    "case_file": "conversation_id",
    "contact": "contact_id",
    "caller": "contact_id",
    "placement": "contact_id",
    "move": "conversation_id, sequence",
    "step": "conversation_id, sequence",
    "delivery": "delivery_id",
    "act": "act_id",
    "reply": "reply_id",
    "transfer": "transfer_id",
}


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Generator[Stack]:
    """A town of its own: in one that others use, contacts are under way while the desk is down."""
    with Stack.start(tmp_path_factory.mktemp("town"), outside=True) as stack:
        yield stack


@pytest.fixture
async def worked(town: Stack, citizens: Citizens, agents: DemoAgents, watch: JourneyWatch) -> AsyncGenerator[Stack]:
    """The town after a day's work; its desk has read everything, and stands still."""
    await leave_open_cases(town, DemoCast())
    first = await routed(watch, await citizens.text("+33639980351", "Bonjour, un nid-de-poule rue Neuve"))
    again = await routed(watch, await citizens.text("+33639980351", "Et ma facture de cantine ?"))
    await _until_contacts(agents, first.conversation_id, "voirie", 2)
    await agents.split(first.conversation_id, "voirie", [again.contact_id], "finances")
    await _until_contacts(agents, first.conversation_id, "voirie", 1)
    await agents.answer(first.conversation_id, "voirie", "Une équipe passe jeudi.")
    other = await routed(watch, await citizens.text("+33639980352", "Bonjour, zorglub rue Neuve ?"))
    for came_from, to in (("triage", "finances"), ("finances", "voirie")):
        await agents.case(other.conversation_id, came_from)
        await agents.transfer(other.conversation_id, came_from, to, "Pas à nous.")
    await agents.case(other.conversation_id, "voirie")
    await citizens.text("+33639980352", "J’ajoute : c’est devant l’école.")
    reference = (await _until_contacts(agents, other.conversation_id, "voirie", 2))["reference"]
    await agents.link(first.conversation_id, "voirie", reference)
    async with asyncio.timeout(PATIENCE_S):
        while len((await agents.case(first.conversation_id, "voirie"))["steps"]) < 2:
            await asyncio.sleep(0.1)
    await _until_every_channel(town)
    await _until_read(town)
    await asyncio.to_thread(town.kill, "desk", stays_down=True)
    async with asyncio.timeout(PATIENCE_S):
        while await is_group_active(town.kafka, f"{town.plan.topic_prefix}-desk"):
            await asyncio.sleep(0.5)
    yield town
    await asyncio.to_thread(town.start_again, "desk")


async def _until_contacts(agents: DemoAgents, conversation: str, department: str, count: int) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE_S):
        while len((case := await agents.case(conversation, department))["contacts"]) != count:
            await asyncio.sleep(0.1)
        return case


async def _until_every_channel(town: Stack) -> None:
    """Wait for the contacts that are under way."""
    async with asyncio.timeout(PATIENCE_S):
        while not {case["channel"] for case in (await dump(town))["case_file"]} >= CHANNELS:
            await asyncio.sleep(0.5)


async def _until_read(town: Stack) -> None:
    """Wait until the desk has read its topics twice in a row, because deliveries still come."""
    prefix = town.plan.topic_prefix
    departments = load_town_config(Path(town.env["PARVIS_CONFIG_DIR"])).departments
    topics = [department_topic(slug).full_name(prefix) for slug in departments] + [DELIVERY_UPDATED.full_name(prefix)]
    async with asyncio.timeout(PATIENCE_S):
        quiet = 0
        while quiet < 3:
            quiet = quiet + 1 if not await consumer_lag(town.kafka, f"{prefix}-desk", topics) else 0
            await asyncio.sleep(0.5)


async def dump(town: Stack) -> Rows:
    rows: Rows = {}
    database = Database(town.database_url, service="test")
    async with database.transaction() as connection:
        for table, key in TABLES.items():
            found = await connection.execute(text(f"select * from desk.{table} order by {key}"))  # noqa: S608
            rows[table] = [dict(row) for row in found.mappings()]
    await database.close()
    return rows


async def damage(town: Stack, *statements: str) -> None:
    database = Database(town.database_url, service="test")
    async with database.transaction() as connection:
        for statement in statements:
            await connection.execute(text(statement))
    await database.close()


def operate(town: Stack, *arguments: str, status: int = 0) -> str:
    done = town.run_parvis("desk", "rebuild", *arguments, timeout_s=PATIENCE_S)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


async def test_the_cases_are_what_the_topics_say_and_become_it_again_when_damaged(worked: Stack):
    before = await dump(worked)
    assert all(before[table] for table in TABLES)
    assert "no case differs" in await asyncio.to_thread(operate, worked, "--check")

    await damage(
        worked,
        "update desk.case_file set snippet = 'x', contacts = 9, urgency = 0, tags = '{}', department = 'triage', answer_due_at = now()",
        "update desk.delivery set state = 'accepted', channel = 'x'",
        "update desk.move set reason = 'x'",
        "update desk.contact set routed = 'x', brief = null",
    )
    found = await asyncio.to_thread(lambda: operate(worked, "--check", status=1))
    assert "snippet" in found
    await asyncio.to_thread(operate, worked)
    assert await dump(worked) == before

    # As after a restored backup: the newest cases are not there at all.
    open_cases = [
        case["conversation_id"] for case in before["case_file"] if case["state"] == "open" and not case["taken_by"]
    ]
    lost = ", ".join(f"'{case}'" for case in open_cases[:3])
    tables = ("case_file", "contact", "move", "delivery")
    await damage(worked, *(f"delete from desk.{table} where conversation_id in ({lost})" for table in tables))  # noqa: S608
    await asyncio.to_thread(operate, worked)
    after = await dump(worked)
    for case in (*before["case_file"], *after["case_file"]):
        for name in OWN if case["conversation_id"] in open_cases[:3] else ():
            del case[name]
    differing = [pair for pair in zip(after["case_file"], before["case_file"], strict=True) if pair[0] != pair[1]]
    assert not differing
    assert after == before
