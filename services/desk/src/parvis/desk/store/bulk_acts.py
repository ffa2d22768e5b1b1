"""Applies an act on several cases to each in a transaction of its own, undoes it, and keeps what happened to each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contract.errors import Rejected
from parvis.common.contract.reply import make_reply_id
from parvis.common.runtime.clock import now
from parvis.common.storage.postgres import Database
from parvis.desk.decide.apply_agent_actions import ActionContext
from parvis.desk.decide.bulk_acts import BulkAct, state_before, undo_act
from parvis.desk.decide.case_version import CaseChanged, CaseVersion
from parvis.desk.models.case import Agent, Case, CaseChanges, CaseContact
from parvis.desk.schema.case_tables import bulk_act, case_file
from parvis.desk.store.case_transactions import CaseNotFound, CaseStore, CaseWork
from parvis.desk.store.case_updates import lock_cases
from parvis.desk.store.row_decoding import DamagedCase
from parvis.desk.store.single_case_queries import read_case_version
from parvis.desk.store.withdrawable_replies import withdraw_reserved_reply

KEPT_FOR = timedelta(days=7)
_b = bulk_act.c


@dataclass(frozen=True)
class BulkOutcome:
    """What happened to one case: `outcome` and `undone` are `done`, or the key of the sentence that says why not."""

    conversation_id: str
    reference: str
    kind: str
    outcome: str
    undone: str | None
    reply_id: str | None
    before: Mapping[str, Any] | None
    at: datetime


async def apply_to_case(
    store: CaseStore, conversation: str, agent: Agent, act: BulkAct, work: CaseWork, seen: CaseVersion
) -> str:
    """Apply the act to one case that has not changed since it was seen, and keep what happened.

    Gives:  `done`, or the key of the sentence that says why it was not.
    Raises: Unavailable; nothing about one case stops the others.
    Retry:  idempotent: what happened to the case the first time stands.
    """
    try:
        async with store.begin() as connection:
            case = (await lock_cases(connection, [conversation])).get(conversation)
            if (known := await _read_outcome(connection, act.bulk_id, conversation)) is not None:
                return known
            if case is None or case.department != agent.department:
                raise CaseNotFound("case_gone")
            version = await read_case_version(connection, conversation)
            if version != seen:
                raise CaseChanged("case_changed")
            before = state_before(case) | {"version": str(replace(version, actions=version.actions + 1))}
            await _keep_outcome(connection, conversation, agent, act, "done", before)
            await store.change_within(connection, conversation, agent, work, keeps_draft=True)
        return "done"
    except DamagedCase:
        outcome = "case_damaged"
    except Rejected as error:
        outcome = str(error)
    async with store.begin() as connection:
        await _keep_outcome(connection, conversation, agent, act, outcome, None)
    return outcome


async def undo_in_case(
    store: CaseStore, bulk_id: str, done: BulkOutcome, context: ActionContext, check: Callable[[Case], None]
) -> None:
    """Give one case back what the act changed, if nothing has changed it since; withdraw an answer that has not left.

    Shape:  check, raises Rejected when the agent may not act on the case any more.
    Retry:  idempotent.
    """

    def work(case: Case, _: Sequence[CaseContact]) -> CaseChanges:
        check(case)
        return undo_act(case, context, bulk_id, done.kind, dict(done.before or {}))

    conversation = done.conversation_id
    try:
        if done.reply_id:
            await withdraw_reserved_reply(store, conversation, done.reply_id, context)
        else:
            async with store.begin() as connection:
                await lock_cases(connection, [conversation])
                if await _is_undone(connection, bulk_id, conversation):
                    return
                version = str(await read_case_version(connection, conversation))
                if version != (done.before or {}).get("version"):
                    raise CaseChanged("case_changed")
                await _mark_undone(connection, bulk_id, conversation, "done")
                await store.change_within(connection, conversation, context.agent, work)
            return
        undone = "done"
    except DamagedCase:
        undone = "case_damaged"
    except Rejected as error:
        undone = str(error)
    async with store.database.transaction() as connection:
        await _mark_undone(connection, bulk_id, conversation, undone)


async def read_bulk_outcomes(connection: AsyncConnection, bulk_id: str, agent: Agent) -> list[BulkOutcome]:
    """What happened to each case of the agent's own act; empty if there is none."""
    columns = (
        _b.conversation_id,
        case_file.c.reference,
        _b.kind,
        _b.outcome,
        _b.undone,
        _b.reply_id,
        _b.before,
        _b.at,
    )
    query = (
        select(*columns)
        .join(case_file, case_file.c.conversation_id == _b.conversation_id)
        .where(_b.bulk_id == bulk_id, _b.agent == agent.name, _b.department == agent.department)
        .order_by(case_file.c.reference)
    )
    return [BulkOutcome(**row) for row in (await connection.execute(query)).mappings()]


async def purge_bulk_acts(database: Database) -> None:
    """Delete what happened in acts of more than a week ago; the cases keep it in their timelines."""
    async with database.transaction() as connection:
        await connection.execute(delete(bulk_act).where(_b.at < now() - KEPT_FOR))


async def _read_outcome(connection: AsyncConnection, bulk_id: str, conversation: str) -> str | None:
    return await connection.scalar(select(_b.outcome).where(_b.bulk_id == bulk_id, _b.conversation_id == conversation))


async def _is_undone(connection: AsyncConnection, bulk_id: str, conversation: str) -> bool:
    query = select(_b.undone).where(_b.bulk_id == bulk_id, _b.conversation_id == conversation)
    return await connection.scalar(query) is not None


async def _keep_outcome(
    connection: AsyncConnection,
    conversation: str,
    agent: Agent,
    act: BulkAct,
    outcome: str,
    before: Mapping[str, Any] | None,
) -> None:
    is_answer = act.kind == "reply" and outcome == "done"
    reply_id = make_reply_id("desk", conversation, act.bulk_id) if is_answer else None
    values = {
        "bulk_id": act.bulk_id, "conversation_id": conversation, "agent": agent.name, "department": agent.department,
        "kind": act.kind, "outcome": outcome, "reply_id": reply_id, "before": before, "at": now(),
    }  # fmt: skip
    await connection.execute(insert(bulk_act).values(values).on_conflict_do_nothing())


async def _mark_undone(connection: AsyncConnection, bulk_id: str, conversation: str, undone: str) -> None:
    of_case = (_b.bulk_id == bulk_id, _b.conversation_id == conversation, _b.undone.is_(None))
    await connection.execute(update(bulk_act).where(*of_case).values(undone=undone))
