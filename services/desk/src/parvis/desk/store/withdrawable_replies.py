"""Finds an agent's answers that have not left yet, and withdraws one in one transaction."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contract.errors import Rejected
from parvis.desk.decide.apply_agent_actions import ActionContext
from parvis.desk.decide.withdraw_reply import withdraw_reply
from parvis.desk.models.accounts import AuditRecord
from parvis.desk.models.case import Agent, AgentReply
from parvis.desk.models.outgoing_file import OutgoingFile
from parvis.desk.schema.case_tables import case_file, reply
from parvis.desk.store.audit_trail import append_audit
from parvis.desk.store.case_transactions import CaseNotFound, CaseStore
from parvis.desk.store.case_updates import insert_rows, lock_cases, update_cases
from parvis.desk.store.draft_files import add_draft_files
from parvis.desk.store.reply_drafts import read_draft, save_draft
from parvis.desk.store.search_indexing import remove_entry

_r = reply.c


@dataclass(frozen=True)
class ReservedReply:
    """An answer that leaves at `due_at` unless its agent withdraws it."""

    reply_id: str
    conversation_id: str
    reference: str
    channel: str
    address: str
    due_at: datetime


async def read_reserved_replies(connection: AsyncConnection, agent: Agent, at: datetime) -> tuple[ReservedReply, ...]:
    """The agent's answers that are not due yet, the latest first."""
    columns = (_r.reply_id, _r.conversation_id, case_file.c.reference, _r.channel, _r.address, _r.due_at)
    waiting = (
        select(*columns)
        .join(case_file, case_file.c.conversation_id == _r.conversation_id)
        .where(_r.department == agent.department, _r.agent == agent.name, _r.due_at > at, _r.withdrawn_at.is_(None))
        .order_by(_r.due_at.desc())
    )
    return tuple(ReservedReply(**row) for row in (await connection.execute(waiting)).mappings())


async def withdraw_reserved_reply(store: CaseStore, conversation: str, reply_id: str, context: ActionContext) -> None:
    """Withdraw the agent's own answer before it leaves; its text and its files become the draft again.

    Raises: CaseNotFound, when there is no such answer of this agent; Rejected `too_late`, when it has left or will; DamagedCase.
    Retry:  idempotent.
    """
    agent = context.agent
    async with store.begin() as connection:
        case = (await lock_cases(connection, [conversation])).get(conversation)
        reserved = await _read_own_reply(connection, conversation, reply_id, agent)
        if case is None or reserved is None:
            raise CaseNotFound("case")
        if reserved.withdrawn_at:
            return
        if not await store.outbox.withdraw(connection, reply_id):
            raise Rejected("too_late")
        await connection.execute(update(reply).where(_r.reply_id == reply_id).values(withdrawn_at=context.at))
        await remove_entry(connection, reply_id)
        changes = withdraw_reply(case, context, reserved)
        await insert_rows(connection, changes.rows)
        await update_cases(connection, [changes.case or case])
        await store.add_to_outbox(connection, changes.events)
        await _restore_draft(connection, reserved, context)
        written = AuditRecord(
            context.at, agent.account_id, agent.name, "case.change", agent.department, conversation, "withdrawn"
        )
        await append_audit(connection, written)


async def _read_own_reply(
    connection: AsyncConnection, conversation: str, reply_id: str, agent: Agent
) -> AgentReply | None:
    query = select(reply).where(
        _r.reply_id == reply_id,
        _r.conversation_id == conversation,
        _r.department == agent.department,
        _r.agent == agent.name,
    )
    row = (await connection.execute(query)).mappings().one_or_none()
    return AgentReply(**row) if row else None


async def _restore_draft(connection: AsyncConnection, reserved: AgentReply, context: ActionContext) -> None:
    """What the agent has written since then stays, below."""
    kept = await read_draft(connection, reserved.conversation_id, context.agent)
    later = kept.fields.get("text", "").strip() if kept else ""
    text = "\n\n".join(part for part in (reserved.text, later) if part)
    then = (reserved.before or {}).get("then", "waiting")
    fields = {"then": then} | dict(kept.fields if kept else {}) | {"text": text}
    await save_draft(connection, reserved.conversation_id, context.agent, fields, context.at)
    files = map(OutgoingFile.decode, reserved.files)
    await add_draft_files(connection, reserved.conversation_id, context.agent, files, context.at)
