"""Picks due deliveries, marks them as reserved, and gives back those whose provider was not called."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contract.reply import ReplyRequested
from parvis.notifier.models.delivery import Delivery
from parvis.notifier.store.deliveries import set_aside_unreadable
from parvis.notifier.store.replies import read_reply


@dataclass(frozen=True)
class DueDelivery:
    """A due delivery with its reply."""

    delivery: Delivery
    reply: ReplyRequested


_OF_OUR_CONVERSATION = "earlier.conversation_id = d.conversation_id"
_TO_OUR_ADDRESS = "earlier.address_hash = d.address_hash and earlier.address_hash <> ''"


def _something_before(shared: str) -> str:
    """`offset 0` forces a look-up per row. As a join, a burst after quiet days, when the statistics show nothing planned, read every
    planned delivery for each row: 250 ms for fifty of 6,000, until the table was analysed.
    """
    return f"""exists (
        select from notifier.delivery as earlier where {shared} and earlier.state in ('planned', 'reserved') and
        (earlier.state = 'reserved' or (earlier.id < d.id and (earlier.attempt > 0 or earlier.send_at <= :now)))
        offset 0
    )"""


_PICK = text(
    f"""
    select d.*, reply.request::text as request from notifier.delivery as d join notifier.reply using (reply_id)
    where d.state = 'planned' and d.send_at <= :now and d.channel <> all(:paused)
    and not {_something_before(_OF_OUR_CONVERSATION)} and not {_something_before(_TO_OUR_ADDRESS)}
    order by d.send_at, d.id limit :most for update of d skip locked
    """  # noqa: S608 (our own words)
)
_RESERVE = text(
    """
    update notifier.delivery set state = 'reserved', attempt = attempt + 1, sends = sends + 1, worker = :worker,
        lease_until = :lease_until, reserved_at = :now, first_reserved_at = coalesce(first_reserved_at, :now),
        failure_class = null, detail = '', changed_at = :now
    where delivery_id = any(:ids)
    """
)
_GIVE_BACK = text(
    """
    update notifier.delivery set state = 'planned', sends = sends - 1, worker = null,
        lease_until = null, reserved_at = null, changed_at = :now
    where delivery_id = any(:ids) and state = 'reserved' and worker = :worker
    """
)


async def pick_due(
    connection: AsyncConnection, now: datetime, limit: int, paused: Collection[str] = ()
) -> tuple[list[DueDelivery], list[Delivery]]:
    """Lock due deliveries, oldest first, one per conversation and one per address.

    Gives:  those that may be sent, and those whose stored request cannot be read. A row that cannot be read is set to `failed`.
    Order:  by due time; within a conversation, and to one address, in the order of the requests: a delivery that is open or
            waits for its next attempt holds the later ones back, one that waits for its `send_at` does not.
    Skips:  rows that another process has locked, and the channels that are `paused`.
    """
    rows = (await connection.execute(_PICK, {"now": now, "paused": list(paused), "most": limit})).all()
    requests = {row.delivery_id: row.request for row in rows}
    due: list[DueDelivery] = []
    unreadable: list[Delivery] = []
    for delivery in await set_aside_unreadable(connection, rows):
        reply = read_reply(delivery.reply_id, requests[delivery.delivery_id])
        if reply:
            due.append(DueDelivery(delivery, reply))
        else:
            unreadable.append(delivery)
    return due, unreadable


async def mark_reserved(
    connection: AsyncConnection, ids: Collection[str], *, worker: str, now: datetime, lease_until: datetime
) -> None:
    """Mark locked deliveries as reserved for one attempt."""
    values = {"ids": list(ids), "worker": worker, "now": now, "lease_until": lease_until}
    await connection.execute(_RESERVE, values)


async def give_back(connection: AsyncConnection, ids: Collection[str], *, worker: str, now: datetime) -> None:
    """Undo reservations whose provider was not called. The attempt number stays used: it may be in Kafka."""
    await connection.execute(_GIVE_BACK, {"ids": list(ids), "worker": worker, "now": now})
