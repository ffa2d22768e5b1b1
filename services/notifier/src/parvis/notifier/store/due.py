"""Deliveries whose time has come: picked, reserved, given back."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, bindparam, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.reply import ReplyRequested
from parvis.notifier import tables
from parvis.notifier.rules import Delivery
from parvis.notifier.store.deliveries import delivery_of

_d = tables.delivery.c


@dataclass(frozen=True)
class Due:
    """A delivery whose time has come, and the reply that it carries."""

    delivery: Delivery
    reply: ReplyRequested


async def pick_due(connection: AsyncConnection, now: datetime, limit: int, resting: Collection[str] = ()) -> list[Due]:
    """Lock deliveries whose time has come, oldest first, one a conversation and one an address.

    Order:  by the time they are due; within a conversation, and for one address, in the order in which they were asked
            for: one that is under way or waits for its next attempt holds the later ones back, one that waits for its
            `send_at` does not.
    Others: what another process has locked is passed over; so are the channels that are `resting`.
    """
    held_back = or_(
        _something_before("conversation_id"), and_(_d.address_hash != "", _something_before("address_hash"))
    )
    due = (
        select(tables.delivery, tables.reply.c.request)
        .join(tables.reply, tables.reply.c.reply_id == _d.reply_id)
        .where(_d.state == "planned", _d.send_at <= now, _d.channel.not_in(resting), ~held_back)
        .order_by(_d.send_at, _d.id)
        .limit(limit)
        .with_for_update(skip_locked=True, of=tables.delivery)
    )
    rows = (await connection.execute(due, {"now": now})).all()
    return [Due(delivery_of(row), ReplyRequested.model_validate(row.request)) for row in rows]


def _something_before(shared: str) -> ColumnElement[bool]:
    e = tables.delivery.alias(f"earlier_by_{shared}").c
    waits = and_(e.state == "planned", e.id < _d.id, or_(e.attempt > 0, e.send_at <= bindparam("now")))
    return exists().where(e[shared] == _d[shared], or_(e.state == "reserved", waits))


async def reserve(
    connection: AsyncConnection, ids: Collection[str], *, worker: str, now: datetime, lease_until: datetime
) -> None:
    """Take locked deliveries for one attempt."""
    taken = {
        "state": "reserved",
        "attempt": _d.attempt + 1,
        "sends": _d.sends + 1,
        "worker": worker,
        "lease_until": lease_until,
        "reserved_at": now,
        "first_reserved_at": func.coalesce(_d.first_reserved_at, now),
        "failure_class": None,
        "detail": "",
        "changed_at": now,
    }
    await connection.execute(update(tables.delivery).where(_d.delivery_id.in_(ids)).values(taken))


async def give_back(connection: AsyncConnection, ids: Collection[str], *, worker: str, now: datetime) -> None:
    """Undo reservations whose provider was never called: the same attempt will be made again."""
    undone = {
        "state": "planned",
        "attempt": _d.attempt - 1,
        "sends": _d.sends - 1,
        "worker": None,
        "lease_until": None,
        "reserved_at": None,
        "changed_at": now,
    }
    ours = (_d.delivery_id.in_(ids), _d.state == "reserved", _d.worker == worker)
    await connection.execute(update(tables.delivery).where(*ours).values(undone))
