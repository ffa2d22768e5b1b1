"""Stores the files of drafts, until their answer leaves or they are removed."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.desk.models.case import Agent
from parvis.desk.models.outgoing_file import OutgoingFile
from parvis.desk.schema.case_tables import case_file, draft_file, reply
from parvis.desk.store.draft_owner import find_draft_owner

_f = draft_file.c


async def add_draft_files(
    connection: AsyncConnection, conversation: str, agent: Agent, files: Iterable[OutgoingFile], at: datetime
) -> None:
    """Add files to the agent's draft. One that is there already stays as it is."""
    whose = {"department": agent.department, "owner": await find_draft_owner(connection, agent), "agent": agent.name}
    of_draft = whose | {"conversation_id": conversation}
    rows = [of_draft | {"file_id": file.file_id, "file": file.encode(), "added_at": at} for file in files]
    if rows:
        await connection.execute(insert(draft_file).values(rows).on_conflict_do_nothing())


async def read_draft_files(connection: AsyncConnection, conversation: str, agent: Agent) -> tuple[OutgoingFile, ...]:
    own = await _of(connection, conversation, agent)
    query = select(_f.file).where(*own).order_by(_f.added_at, _f.file_id)
    return tuple(OutgoingFile.decode(stored) for stored in await connection.scalars(query))


async def delete_draft_files(
    connection: AsyncConnection, conversation: str, agent: Agent, file_ids: Sequence[str]
) -> bool:
    """Delete these files of the agent's draft. Gives whether there was one."""
    own = await _of(connection, conversation, agent)
    mine = delete(draft_file).where(*own, _f.file_id.in_(list(file_ids)))
    return (await connection.execute(mine)).rowcount > 0


async def read_old_draft_files(connection: AsyncConnection, before: datetime) -> list[str]:
    """The ids of the files that were added before an instant."""
    return list(await connection.scalars(select(_f.file_id).where(_f.added_at < before).limit(1000)))


async def forget_draft_files(connection: AsyncConnection, file_ids: Sequence[str]) -> None:
    """Delete the rows of these files, whosever drafts they are of."""
    await connection.execute(delete(draft_file).where(_f.file_id.in_(list(file_ids))))


async def read_reply_files(connection: AsyncConnection, conversation: str) -> dict[str, tuple[OutgoingFile, ...]]:
    """The files of each answer of a case that was not withdrawn, by the answer's id."""
    query = select(reply.c.reply_id, reply.c.files).where(
        reply.c.conversation_id == conversation, reply.c.withdrawn_at.is_(None)
    )
    rows = await connection.execute(query)
    return {row.reply_id: tuple(OutgoingFile.decode(stored) for stored in row.files) for row in rows}


async def is_own_case(connection: AsyncConnection, conversation: str, agent: Agent) -> bool:
    """Whether the agent's department has the case."""
    own = select(case_file.c.conversation_id).where(
        case_file.c.conversation_id == conversation, case_file.c.department == agent.department
    )
    return await connection.scalar(own) is not None


async def _of(connection: AsyncConnection, conversation: str, agent: Agent) -> tuple[Any, ...]:
    owner = await find_draft_owner(connection, agent)
    return _f.conversation_id == conversation, _f.department == agent.department, _f.owner == owner
