"""What departments say of their cases in, conversations closed and opened. No business rule."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contract.routing.decisions import CaseUpdated
from parvis.router import store


async def follow(connection: AsyncConnection, cases: Sequence[CaseUpdated]) -> None:
    """Remember what a batch of cases says of their conversations."""
    # Sorted like every lock of the router; of one conversation the order of the records stays.
    for case in sorted(cases, key=lambda case: case.conversation_id):
        await store.record_case_update(connection, case)
