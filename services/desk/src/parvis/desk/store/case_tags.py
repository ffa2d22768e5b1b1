"""Reads the tags that agents gave: those that a department uses, and who added or removed which in a case."""

from collections.abc import Collection

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.desk.models.case import CaseActionRecord
from parvis.desk.schema.case_tables import act, case_file

_MOST_CASES = 500
_MOST_TAGS = 100


async def read_used_tags(connection: AsyncConnection, department: str, locked: Collection[str]) -> tuple[str, ...]:
    """The tags of the department's latest open cases, without those that nobody changes by hand."""
    c = case_file.c
    latest = select(c.tags).where(c.department == department, c.state == "open")
    latest = latest.order_by(c.changed_at.desc(), c.conversation_id.desc()).limit(_MOST_CASES).subquery()
    tag = func.unnest(latest.c.tags).label("tag")
    found = await connection.scalars(select(tag).distinct().order_by(tag).limit(_MOST_TAGS))
    return tuple(name for name in found if name not in locked)


async def read_tag_acts(connection: AsyncConnection, conversation: str) -> list[CaseActionRecord]:
    """Who added or removed which tag of a case, in order."""
    query = select(act).where(act.c.conversation_id == conversation, act.c.kind.in_(("tagged", "untagged")))
    rows = (await connection.execute(query.order_by(act.c.at, act.c.act_id))).mappings()
    return [CaseActionRecord(**row) for row in rows]
