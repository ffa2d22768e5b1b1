"""F-62: while agents work, PostgreSQL and the desks are killed, commits are hidden from them, and transactions conflict."""

import asyncio
from collections import Counter
from dataclasses import replace

from sqlalchemy import text

from parvis.common.bus.admin import is_group_active
from parvis.common.bus.topic_reader import read_all_records
from parvis.common.contract.topics import REPLY_REQUESTED
from parvis.common.storage.postgres import Database
from parvis.local.stack import Stack
from tests.faults.database_conflicts import begin_conflicts, count_rolled_back, end_conflicts
from tests.faults.desk_load import AgentsAtWork, open_cases
from tests.faults.oracle import Verdict
from tests.faults.postgres_proxy import PostgresProxy
from tests.faults.scenario import OwnTownScenario, Workspace, start_town
from tests.faults.service_processes import ServiceProcesses
from tests.patience import PATIENCE_S

_TABLE = "desk.reply"


async def run(workspace: Workspace, full: bool) -> Verdict:
    rounds, agents, between = (10, 8, 40) if full else (1, 3, 4)
    verdict, own_database = Verdict(), replace(workspace, has_own_database=True)
    with start_town(own_database, [], PARVIS_DESK_API_TOKEN="a token of the scenario") as (stack, _log):
        for step in ("topics apply", "migrate"):
            await asyncio.to_thread(stack.run_parvis, *step.split())
        database = Database(stack.database_url, service="faults")
        async with PostgresProxy(stack.database_url).running() as proxy:
            environment = dict(stack.env) | {"PARVIS_DATABASE_URL": proxy.url}
            desks = ServiceProcesses(environment, workspace.folder / "log", "desk")
            async with desks.running(2), asyncio.TaskGroup() as group:
                cases = await open_cases(stack, range(agents))
                work = AgentsAtWork(desks.ports, stack.env["PARVIS_DESK_API_TOKEN"])
                working = group.create_task(work.work(list(cases)))
                for _ in range(rounds):
                    await _disturb(stack, desks, proxy, database, work, between)
                work.is_done.set()
                await working
                await desks.wait_ready()
                await _check(stack, database, work, verdict)
                await desks.stop_all()
            await _check_projection(stack, verdict)
        await database.close()
        verdict.figures |= {
            "acts": work.count, "repeated": work.repeated, "hidden commits": proxy.cuts, "PostgreSQL killed": rounds,
            "desks killed": rounds,
        }  # fmt: skip
    return verdict


async def _disturb(
    stack: Stack, desks: ServiceProcesses, proxy: PostgresProxy, database: Database, work: AgentsAtWork, between: int
) -> None:
    """One of each fault, with confirmed acts before and after it."""
    await work.wait_for_acts(between)
    proxy.cut_after_commits = 2
    async with asyncio.timeout(PATIENCE_S):
        while proxy.cut_after_commits:
            await asyncio.sleep(0.02)
    await work.wait_for_acts(between)
    desks.kill(1 + work.count % 2)
    await work.wait_for_acts(between)
    before = await count_rolled_back(database)
    await begin_conflicts(database, _TABLE, every=3)
    async with asyncio.timeout(PATIENCE_S):
        while await count_rolled_back(database) == before:
            await asyncio.sleep(0.1)
    await end_conflicts(database, _TABLE)
    await work.wait_for_acts(between)
    await asyncio.to_thread(stack.kill, "postgres")
    await asyncio.to_thread(stack.wait_ready, "postgres")
    await database.close()  # its connections have died; the next statement opens one
    await work.wait_for_acts(between)


async def _check(stack: Stack, database: Database, work: AgentsAtWork, verdict: Verdict) -> None:
    """What was confirmed is there once, and every answer was requested under its own id."""
    verdict.expect(not work.refused, f"{len(work.refused)} acts refused: {work.refused[:1]}")
    async with database.transaction() as connection:
        notes = Counter((await connection.scalars(text("select text from desk.act where text <> ''"))).all())
        answers = await connection.execute(text("select reply_id::text as reply_id, text from desk.reply"))
        replies = {row.reply_id: row.text for row in answers}
    for kind, found in (("note", notes), ("reply", Counter(replies.values()))):
        expected = set(work.confirmed[kind])
        lost, others = len(expected - found.keys()), len(found.keys() - expected)
        verdict.expect(not lost and not others, f"{kind}: {lost} of those confirmed lost, {others} unknown")
        verdict.expect(max(found.values()) == 1, f"{kind}: {sum(found.values()) - len(found)} there twice")
    topic, requested = REPLY_REQUESTED.full_name(stack.plan.topic_prefix), Counter[str]()
    async with asyncio.timeout(PATIENCE_S):
        while requested.keys() < replies.keys():
            await asyncio.sleep(0.5)
            requested = Counter([received.event_id async for received in read_all_records(stack.kafka, [topic])])
    verdict.expect(requested.keys() == replies.keys(), f"{len(requested.keys() - replies.keys())} unknown answers left")
    verdict.figures["doubles"] = sum(requested.values()) - len(requested)
    audit = await asyncio.to_thread(stack.run_parvis, "audit", "verify")
    verdict.expect(audit.returncode == 0, f"the audit trail is broken: {audit.stdout}{audit.stderr}")


async def _check_projection(stack: Stack, verdict: Verdict) -> None:
    """The cases are what the topics say."""
    async with asyncio.timeout(PATIENCE_S):
        while await is_group_active(stack.kafka, f"{stack.plan.topic_prefix}-desk"):
            await asyncio.sleep(0.5)
    rebuilt = await asyncio.to_thread(stack.run_parvis, "desk", "rebuild", "--check")
    verdict.expect(rebuilt.returncode == 0, f"the cases differ from the topics: {rebuilt.stdout}{rebuilt.stderr}")


SCENARIO = OwnTownScenario(
    "F-62",
    "while eight agents work at two desks, ten times: two commits whose answers are lost, `kill -9` of a desk, deadlocks and serialization failures, `kill -9` of PostgreSQL",
    "each confirmed note and answer is there once and each answer is requested once, under its own id; the audit trail is unbroken; the cases are what the topics say",
    run,
)
