"""Starts a town with its desk, notifier and outside world for scenarios of what outsiders try; in the small size they share one."""

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import unescape
from typing import Any, TypeVar

import httpx
from sqlalchemy import text

from parvis.common.storage.postgres import Database
from parvis.local.citizen_client import Citizens
from parvis.local.demo.agents import DemoAgents
from parvis.local.stack import Stack
from tests.faults.oracle import Verdict
from tests.faults.scenario import Workspace, start_town
from tests.patience import PATIENCE_S

Read = TypeVar("Read")

SOURCE_SEGMENTS, SOURCE_LETTERS = 6, 2  # what one source may cost: two or three notices by SMS
_SERVICES = ("ingest-sms", "ingest-email", "ingest-web", "router", "desk", "notifier")
_SETTINGS = {
    "PARVIS_INGEST_WEB_QUICKEST_S": "0",
    "PARVIS_NOTIFIER_SOURCE_SEGMENTS_A_DAY": str(SOURCE_SEGMENTS),
    "PARVIS_NOTIFIER_SOURCE_LETTERS_A_DAY": str(SOURCE_LETTERS),
}


@dataclass(frozen=True)
class OutsiderTown:
    """The town, the people who write to it, its agents and its rows."""

    stack: Stack
    citizens: Citizens
    agents: DemoAgents
    database: Database

    async def rows(self, query: str, **values: Any) -> list[Any]:
        async with self.database.transaction() as connection:
            return list((await connection.execute(text(query), values)).all())

    async def wait_until(
        self, read: Callable[[], Awaitable[Read]], is_enough: Callable[[Read], object] = lambda found: found
    ) -> Read:
        """Read again and again until it is enough. Gives what was read."""
        async with asyncio.timeout(PATIENCE_S):
            while not is_enough(found := await read()):
                await asyncio.sleep(0.1)
            return found

    async def case_of(self, address: str) -> tuple[str, str]:
        """Wait for the conversation that an address opened. Gives its id and department."""
        query = """
            select c.id, c.department from router.conversation c join notifier.delivery d on d.conversation_id = cast(c.id as text)
            where d.address = :address and d.kind = 'registration'
        """
        (case, *_) = await self.wait_until(lambda: self.rows(query, address=address))
        return str(case.id), case.department

    async def count_contacts(self, case: str | None = None) -> int:
        """Count the contacts on the desks: those of a conversation, or all."""
        query = "select count(*) as contacts from desk.contact where cast(:case as text) in (cast(conversation_id as text), '')"
        return (await self.rows(query, case=case or ""))[0].contacts

    async def case_page(self, case: str, department: str) -> str:
        """What an agent of the department sees of a case."""
        async with httpx.AsyncClient(base_url=self.stack.url("desk"), timeout=PATIENCE_S) as http:
            token = re.search(r'name="_csrf" value="([^"]*)"', (await http.get("/login")).text)
            form = {"_csrf": unescape(token[1]) if token else "", "name": "Camille Exemple", "department": department}
            await http.post("/login", data=form)
            return (await http.get(f"/cases/{case}")).text


@asynccontextmanager
async def start_outsider_town(workspace: Workspace) -> AsyncGenerator[OutsiderTown]:
    with start_town(workspace, _SERVICES, outside=True, **_SETTINGS) as (stack, _log):
        database = Database(stack.database_url, service="test")
        try:
            async with Citizens(stack) as citizens, DemoAgents(stack) as agents:
                yield OutsiderTown(stack, citizens, agents, database)
        finally:
            await database.close()


@dataclass(frozen=True)
class OutsiderScenario:
    """A row of the matrix about what outsiders try. In the small size all of them run in one town, in turn."""

    name: str
    injection: str
    must_hold: str
    run_in: Callable[[OutsiderTown, bool], Coroutine[Any, Any, Verdict]]
    missing_requirement: Callable[[], str | None] = lambda: None

    async def run(self, workspace: Workspace, full: bool) -> Verdict:
        """Run in a town of its own."""
        async with start_outsider_town(workspace) as town:
            return await self.run_in(town, full)
