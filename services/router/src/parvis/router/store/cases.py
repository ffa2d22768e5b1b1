"""What departments say of their cases into PostgreSQL; whoever calls owns the transaction."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contract.routing.decisions import CaseUpdated
from parvis.router.decide.find_conversation import parse_uuid

_FOLLOW_CASE = text("""
    update router.conversation
    set closed_at = cast(:closed_at as timestamptz), case_updated_at = cast(:at as timestamptz)
    where id = :id and department = :department and (case_updated_at is null or case_updated_at <= cast(:at as timestamptz))
""")


async def record_case_update(connection: AsyncConnection, case: CaseUpdated) -> None:
    """Remember that the department that has it closed the conversation, or opened it again; an older word changes nothing."""
    conversation = parse_uuid(case.conversation_id)
    if conversation:
        closed_at = case.at if case.state == "closed" else None
        values = {"id": conversation, "department": case.department, "closed_at": closed_at, "at": case.at}
        await connection.execute(_FOLLOW_CASE, values)
