"""Assigns the new cases of departments that ask for it to their present agents in turn, each case in a transaction of its own."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contract.errors import Poison, Rejected
from parvis.common.runtime.clock import Clock, now
from parvis.common.runtime.logs import logger
from parvis.common.town.models import TownConfig
from parvis.desk.decide.access_rights import may, scope_of
from parvis.desk.decide.apply_agent_actions import ActionContext
from parvis.desk.decide.least_busy_agent import assign_by_turn, choose_agent
from parvis.desk.models.accounts import CaseAccessFacts, ConfidentialCases, DeskUser
from parvis.desk.models.case import Agent
from parvis.desk.models.queue import QueueFilter
from parvis.desk.schema.account_tables import account, session
from parvis.desk.schema.case_tables import IS_NOT_CLOSED, act, case_file
from parvis.desk.store.absences import read_absences
from parvis.desk.store.case_transactions import CaseStore
from parvis.desk.store.queue_queries import DUE_ORDER, QueueReader
from parvis.desk.store.sessions import read_grants

log = logger()
_ONE_AT_A_TIME = 0x7475726E  # the advisory lock under which open cases are counted and one more is assigned
_MOST_AT_ONCE = 500
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
            new = await _new_cases(connection, Agent("", department), at, self.confidential)
            present = await self._present(connection, department, at) if new else []
        for scope in new:
            if not any(may(user, "case.change", scope) for user in present):
                continue
            try:
                if not await self._assign_case(scope, present, capacity):
                    return
            except (Rejected, Poison) as error:
                log.warning("case.assign_failed", conversation_id=scope.conversation_id, reason=str(error))

    async def _assign_case(self, scope: CaseAccessFacts, present: list[DeskUser], capacity: int) -> bool:
        """Assign one case, if one of those who may work on it has room. False once nobody at all has."""
        desk = Agent("", scope.department)
        async with self.cases.begin() as connection:
            await connection.execute(select(func.pg_advisory_xact_lock(_ONE_AT_A_TIME)))
            numbers = await _open_cases(connection, scope.department, [user.name for user in present])
            chosen = choose_agent(present, numbers, capacity, scope)
            if not chosen:
                return any(numbers.get(user.name, 0) < capacity for user in present)
            context = ActionContext(desk, self.town_config, self.clock())
            await self.cases.change_within(
                connection, scope.conversation_id, desk, lambda case, _: assign_by_turn(case, context, chosen)
            )
        return True

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


async def _new_cases(
    connection: AsyncConnection, desk: Agent, at: datetime, confidential: ConfidentialCases
) -> list[CaseAccessFacts]:
    """The open cases that nobody has and nobody gave back, most urgent first."""
    gave_back = (act.c.conversation_id == _c.conversation_id) & act.c.kind.in_(("released", "undone"))
    query = (
        select(_c.procedure, _c.tags, _c.conversation_id)
        .where(
            *QueueReader(desk, at).conditions(QueueFilter("unassigned")),
            ~select(act.c.act_id).where(gave_back).exists(),
        )
        .order_by(*DUE_ORDER)
        .limit(_MOST_AT_ONCE)
    )
    rows = (await connection.execute(query)).mappings()
    return [
        scope_of(confidential, desk.department, r["procedure"], r["tags"] or (), r["conversation_id"]) for r in rows
    ]


async def _open_cases(connection: AsyncConnection, department: str, names: list[str]) -> dict[str, int]:
    query = (
        select(_c.taken_by, func.count())
        .where(_c.department == department, _c.taken_by.in_(names), IS_NOT_CLOSED, _c.state == "open")
        .group_by(_c.taken_by)
    )
    return {row[0]: row[1] for row in await connection.execute(query)}
