"""Assigns the new cases of departments that ask for it to their present agents in turn, each case in a transaction of its own."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contract.errors import Poison, Rejected
from parvis.common.runtime.clock import Clock, now
from parvis.common.runtime.logs import logger
from parvis.common.town.models import TownConfig
from parvis.desk.decide.access_rights import scope_of
from parvis.desk.decide.agent_actions import ActionContext
from parvis.desk.decide.round_robin import assign_by_turn, choose_agent
from parvis.desk.models.accounts import ConfidentialCases, DeskUser
from parvis.desk.models.case import Agent, Case
from parvis.desk.models.queue import QueueFilter
from parvis.desk.schema.account_tables import account, session
from parvis.desk.schema.case_tables import act, case_file
from parvis.desk.store.absences import read_absences
from parvis.desk.store.case_transactions import CaseStore
from parvis.desk.store.queue_queries import QueueReader
from parvis.desk.store.sessions import read_grants

log = logger()
_ONE_AT_A_TIME = 0x7475726E  # the advisory lock under which open cases are counted and one more is assigned
_c = case_file.c


@dataclass(frozen=True)
class RoundRobin:
    """Assigns new cases. An agent is present while their session is in use and no absence is noted."""

    cases: CaseStore
    town_config: TownConfig
    confidential: ConfidentialCases
    idle: timedelta  # of a session
    clock: Clock = now

    async def assign(self) -> None:
        """Assign what is open and has no owner, most urgent first; what an agent gave back stays for people to take.

        Retry: idempotent, also with several processes.
        """
        for department in self.town_config.departments.values():
            if department.cases_per_agent:
                await self._assign(department.slug, department.cases_per_agent)

    async def _assign(self, department: str, capacity: int) -> None:
        at = self.clock()
        async with self.cases.database.transaction() as connection:
            page = await QueueReader(Agent("", department), at).read(connection, QueueFilter("unassigned"))
            given_back = await _given_back(connection, [row.case.conversation_id for row in page.rows])
            new = [row.case for row in page.rows if row.case.conversation_id not in given_back]
            present = await self._present(connection, department, at) if new else []
        for case in new if present else ():
            try:
                await self._assign_case(case, present, capacity)
            except (Rejected, Poison) as error:
                log.warning("case.assign_failed", conversation_id=case.conversation_id, reason=str(error))

    async def _assign_case(self, case: Case, present: list[DeskUser], capacity: int) -> None:
        desk = Agent("", case.department)
        scope = scope_of(self.confidential, case.department, case.procedure, case.tags, case.conversation_id)
        async with self.cases.begin() as connection:
            await connection.execute(select(func.pg_advisory_xact_lock(_ONE_AT_A_TIME)))
            numbers = await _open_cases(connection, case.department, [user.name for user in present])
            chosen = choose_agent(present, numbers, capacity, scope)
            if not chosen:
                return
            context = ActionContext(desk, self.town_config, self.clock())
            await self.cases.change_within(
                connection, case.conversation_id, desk, lambda locked, _: assign_by_turn(locked, context, chosen)
            )

    async def _present(self, connection: AsyncConnection, department: str, at: datetime) -> list[DeskUser]:
        absent = {one.agent for one in await read_absences(connection, department, at)}
        in_use = (
            select(account.c.account_id, account.c.name)
            .join(session, session.c.account_id == account.c.account_id)
            .where(session.c.ended_at.is_(None), session.c.expires_at > at, session.c.seen_at > at - self.idle)
            .where(account.c.disabled_at.is_(None), account.c.kind != "program")
            .distinct()
            .order_by(account.c.name, account.c.account_id)
        )
        rows = (await connection.execute(in_use)).mappings().all()
        return [
            DeskUser(row["account_id"], row["name"], await read_grants(connection, row["account_id"], at=at))
            for row in rows
            if row["name"] not in absent
        ]


async def _given_back(connection: AsyncConnection, conversations: list[str]) -> set[str]:
    query = select(act.c.conversation_id).where(
        act.c.conversation_id.in_(conversations), act.c.kind.in_(("released", "undone"))
    )
    return set(await connection.scalars(query))


async def _open_cases(connection: AsyncConnection, department: str, names: list[str]) -> dict[str, int]:
    is_not_closed = _c.state != literal_column("'closed'")  # in the words of the partial index
    query = (
        select(_c.taken_by, func.count())
        .where(_c.department == department, _c.taken_by.in_(names), is_not_closed, _c.state == "open")
        .group_by(_c.taken_by)
    )
    return {row[0]: row[1] for row in await connection.execute(query)}
