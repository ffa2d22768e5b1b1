"""Wishes to transfer in, their decision rows out: done or refused, under the conversation's lock."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common import clock
from parvis.common.bus.consumer import Item
from parvis.common.directory import Directory
from parvis.common.logs import logger
from parvis.common.routing import TransferRequested
from parvis.router import store
from parvis.router.decide import transfer, transfer_key, uuid_of
from parvis.router.tables import DecisionRow

log = logger()

Rows = dict[UUID, DecisionRow]


@dataclass(frozen=True)
class Transfers:
    """Moves conversations between departments, one number a move."""

    directory: Directory
    now: clock.Clock

    async def decide(self, connection: AsyncConnection, wishes: Sequence[Item]) -> Rows:
        """The row of every wish: stored before, or stored now."""
        rows = await store.decisions_of(connection, [key_of(wish) for wish in wishes])
        asked = {key_of(wish): wish.event for wish in reversed(wishes) if isinstance(wish.event, TransferRequested)}
        fresh = {key: wish for key, wish in asked.items() if key not in rows}
        ids = {id_ for wish in fresh.values() if (id_ := uuid_of(wish.conversation_id))}
        conversations = await store.lock_conversations(connection, sorted(ids))
        at = self.now()
        new: list[DecisionRow] = []
        for key in dict.fromkeys(key_of(wish) for wish in wishes):
            if key in fresh:
                conversation = conversations.get(uuid_of(fresh[key].conversation_id) or key)
                new.append(transfer(fresh[key], conversation, self.directory, at=at))
        if new:
            moved = {row.conversation_id for row in new if row.kind == "transfer"}
            await store.record_decisions(connection, new, [c for c in conversations.values() if c.id in moved])
        for row in new:
            outcome = "done" if row.kind == "transfer" else "refused"
            log.info(
                "transfer.decided", conversation_id=str(row.conversation_id), sequence=row.sequence, outcome=outcome
            )
        return rows | {row.id: row for row in new}


def key_of(wish: Item) -> UUID:
    """The id of the wish's decision row."""
    assert isinstance(wish.event, TransferRequested)  # noqa: S101 - for the type checker
    return transfer_key(wish.event.transfer_id)
