"""Keeps what an agent has typed and not sent yet: one draft per account and case."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.runtime.clock import now
from parvis.common.storage.postgres import Database
from parvis.desk.models.case import Agent
from parvis.desk.schema.case_tables import case_file, draft
from parvis.desk.store.draft_owner import find_draft_owner

KEPT_FOR = timedelta(days=30)
_d = draft.c


@dataclass(frozen=True)
class ReplyDraft:
    """The fields of an answer as typed, and when they were stored."""

    fields: Mapping[str, str]
    saved_at: datetime


async def save_draft(
    connection: AsyncConnection, conversation: str, agent: Agent, fields: Mapping[str, str], at: datetime
) -> None:
    """Store the draft of a case of the agent's department; one of another department is none of theirs."""
    own = select(case_file.c.conversation_id).where(
        case_file.c.conversation_id == conversation, case_file.c.department == agent.department
    )
    if await connection.scalar(own) is None:
        return
    owner = await find_draft_owner(connection, agent)
    key = {"conversation_id": conversation, "department": agent.department, "owner": owner}
    new = insert(draft).values(key | {"agent": agent.name, "fields": dict(fields), "saved_at": at})
    changed = {name: new.excluded[name] for name in ("agent", "fields", "saved_at")}
    await connection.execute(new.on_conflict_do_update(index_elements=list(key), set_=changed))


async def read_draft(connection: AsyncConnection, conversation: str, agent: Agent) -> ReplyDraft | None:
    own = await _of(connection, conversation, agent)
    row = (await connection.execute(select(_d.fields, _d.saved_at).where(*own))).one_or_none()
    return ReplyDraft(row.fields, row.saved_at) if row else None


async def delete_draft(connection: AsyncConnection, conversation: str, agent: Agent) -> None:
    await connection.execute(delete(draft).where(*await _of(connection, conversation, agent)))


async def purge_drafts(database: Database) -> None:
    """Delete drafts that nobody has touched for a month."""
    async with database.transaction() as connection:
        await connection.execute(delete(draft).where(_d.saved_at < now() - KEPT_FOR))


async def _of(connection: AsyncConnection, conversation: str, agent: Agent) -> tuple[Any, ...]:
    owner = await find_draft_owner(connection, agent)
    return _d.conversation_id == conversation, _d.department == agent.department, _d.owner == owner
