"""Stores who is absent, and returns the open cases of the absent, each in a transaction of its own."""

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import partial

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contract.errors import Poison, Rejected
from parvis.common.runtime.clock import Clock, now
from parvis.common.runtime.logs import logger
from parvis.common.town.models import TownConfig
from parvis.desk.decide.absent_agent_cases import return_case
from parvis.desk.decide.access_rights import may, scope_of
from parvis.desk.decide.apply_agent_actions import ActionContext
from parvis.desk.models.absence import Absence
from parvis.desk.models.accounts import CaseAccessFacts, ConfidentialCases, DeskUser
from parvis.desk.models.case import Agent, Case, CaseChanges, CaseContact
from parvis.desk.schema.case_tables import IS_NOT_CLOSED, absence, act, case_file
from parvis.desk.store.case_transactions import CaseStore
from parvis.desk.store.department_agents import read_agents

log = logger()
_MOST_AT_ONCE = 200
_a = absence.c


async def note_absence(connection: AsyncConnection, noted: Absence) -> None:
    """Store an absence; it replaces an earlier one of the same agent in the same department."""
    new = insert(absence).values(vars(noted))
    changed = {name: new.excluded[name] for name in vars(noted) if name not in ("department", "agent")}
    await connection.execute(new.on_conflict_do_update(index_elements=["department", "agent"], set_=changed))


async def end_absence(connection: AsyncConnection, department: str, agent: str) -> None:
    await connection.execute(delete(absence).where(_a.department == department, _a.agent == agent))


async def read_absences(connection: AsyncConnection, department: str, at: datetime) -> tuple[Absence, ...]:
    """Who is absent from a department, by name."""
    query = select(absence).where(_a.department == department, _a.until_at > at).order_by(_a.agent)
    return tuple(Absence(**row) for row in (await connection.execute(query)).mappings())


async def find_absence(connection: AsyncConnection, department: str, agent: str, at: datetime) -> Absence | None:
    """The absence of an agent, however the name is spaced. None if they are there."""
    name = " ".join(agent.split())
    query = select(absence).where(_a.department == department, _a.agent == name, _a.until_at > at)
    row = (await connection.execute(query)).mappings().one_or_none()
    return Absence(**row) if row else None


async def return_cases_of_absent(
    store: CaseStore, town_config: TownConfig, confidential: ConfidentialCases, clock: Clock = now
) -> None:
    """Return the open cases of everybody who is absent; those that a deputy who is there may work on go to the deputy.

    Retry: idempotent.
    """
    at = clock()
    async with store.database.transaction() as connection:
        query = select(absence).where(_a.until_at > at).order_by(_a.department, _a.agent)
        absences = [Absence(**row) for row in (await connection.execute(query)).mappings()]
        away = {(one.department, one.agent) for one in absences}
        found = [
            (one, await _find_deputy(connection, one, at, away), await _cases_to_return(connection, one))
            for one in absences
        ]
    for one, deputy, conversations in found:
        desk = Agent("", one.department)
        context = ActionContext(desk, town_config, at)
        for conversation in conversations:
            try:
                await store.change_case(conversation, desk, partial(_return, context, one, deputy, confidential))
            except (Rejected, Poison) as error:
                log.warning("case.not_returned", conversation_id=conversation, reason=str(error))


def _return(
    context: ActionContext,
    one: Absence,
    deputy: Sequence[DeskUser],
    confidential: ConfidentialCases,
    case: Case,
    _: Sequence[CaseContact],
) -> CaseChanges:
    scope = scope_of(confidential, case.department, case.procedure, case.tags, case.conversation_id)
    is_allowed = any(may(user, "case.change", scope) for user in deputy)
    return return_case(case, context, one, one.deputy if is_allowed else "")


async def _find_deputy(
    connection: AsyncConnection, one: Absence, at: datetime, away: Collection[tuple[str, str]]
) -> Sequence[DeskUser]:
    """The accounts with the deputy's name. Empty if there is no deputy, or they are away as well."""
    if not one.deputy or (one.department, one.deputy) in away:
        return ()
    return await read_agents(connection, CaseAccessFacts(one.department), at, names=[one.deputy])


async def _cases_to_return(connection: AsyncConnection, one: Absence) -> list[str]:
    """The agent's open cases, but those that were assigned or taken in spite of the absence."""
    c = case_file.c
    nevertheless = (
        select(act.c.act_id)
        .where(
            act.c.conversation_id == c.conversation_id, act.c.kind.in_(("assigned", "taken")), act.c.at >= one.begins_at
        )
        .exists()
    )
    query = select(c.conversation_id).where(
        c.department == one.department, c.taken_by == one.agent, IS_NOT_CLOSED, c.state == "open", ~nevertheless
    )
    return list(await connection.scalars(query.limit(_MOST_AT_ONCE)))
