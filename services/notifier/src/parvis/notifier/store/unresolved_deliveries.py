"""Finds deliveries without a provider's final answer, and counts the sends of the whole ledger."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, column, func, or_, select, table, update
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.notifier import schema
from parvis.notifier.models.delivery import Delivery
from parvis.notifier.store.deliveries import set_aside_unreadable

_d = schema.delivery.c
_sends = table(
    "sends", column("reply_id"), column("sends"), column("allowed"), column("changed_at"), schema=schema.SCHEMA
)


async def lock_lapsed(connection: AsyncConnection, now: datetime, limit: int = 200) -> list[Delivery]:
    """Lock reserved deliveries whose lease has run out."""
    late = select(schema.delivery).where(_d.state == "reserved", _d.lease_until < now).order_by(_d.lease_until)
    return await _locked(connection, late.limit(limit))


async def lock_unknown_since(
    connection: AsyncConnection, instant: datetime, kinds: Collection[str], limit: int = 200
) -> list[Delivery]:
    """Lock deliveries of these kinds that became unknown before an instant and were not sent again."""
    old = select(schema.delivery).where(
        _d.state == "unknown", _d.changed_at < instant, _d.kind.in_(kinds), _d.resent_at.is_(None)
    )
    return await _locked(connection, old.order_by(_d.changed_at).limit(limit))


async def take_for_polling(
    connection: AsyncConnection,
    channel: str,
    now: datetime,
    asked_before: datetime,
    polled: Collection[str],
    limit: int = 20,
) -> list[Delivery]:
    """Pick deliveries to query the provider about: unknown ones, and accepted ones of providers without callbacks. Their `asked_at` is
    set, so that no two processes query at once."""
    is_unknown = _d.state == "unknown"
    open_ = or_(is_unknown, (_d.state == "accepted") & _d.provider.in_(polled)) if polled else is_unknown
    waiting = (
        select(schema.delivery)
        .where(open_, _d.channel == channel, or_(_d.asked_at.is_(None), _d.asked_at < asked_before))
        .order_by(_d.asked_at.asc().nulls_first(), _d.changed_at)
        .limit(limit)
    )
    taken = await _locked(connection, waiting)
    ids = [delivery.delivery_id for delivery in taken]
    if ids:
        await connection.execute(update(schema.delivery).where(_d.delivery_id.in_(ids)).values(asked_at=now))
    return taken


async def count_unknown(connection: AsyncConnection, instant: datetime) -> int:
    """The number of unknown deliveries that were reserved before an instant."""
    old = select(func.count()).where(_d.state == "unknown", _d.reserved_at < instant)
    return int(await connection.scalar(old) or 0)


async def known_provider_ids(connection: AsyncConnection, ids: Collection[str]) -> set[str]:
    """Those of the provider ids that already belong to a delivery."""
    known = select(_d.provider_id).where(_d.provider_id.in_(ids))
    return set((await connection.scalars(known)).all()) - {None} if ids else set()


async def sent_too_often(connection: AsyncConnection, since: datetime | None = None) -> list[Row[Any]]:
    """Replies with more sends than allowed: one, and one for each logged resend and each logged move to another channel."""
    over = select(_sends).where(_sends.c.sends > _sends.c.allowed)
    if since:
        recent = select(_d.reply_id).where(_d.changed_at > since).distinct()
        over = over.where(_sends.c.reply_id.in_(recent))
    return list((await connection.execute(over)).all())


@dataclass(frozen=True)
class LedgerTotals:
    """Totals of the whole ledger."""

    replies: int
    sends: int
    resends: int
    moves: int
    unknown: int


async def ledger_totals(connection: AsyncConnection) -> LedgerTotals:
    """Count the replies, sends, resends, moves and unknown deliveries of the ledger."""
    whole = select(
        func.count(func.distinct(_d.reply_id)).label("replies"),
        func.coalesce(func.sum(_d.sends), 0).label("sends"),
        func.count(_d.resent_at).label("resends"),
        func.count(_d.moves_to).label("moves"),
        func.count().filter(_d.state == "unknown").label("unknown"),
    )
    row = (await connection.execute(whole)).one()
    return LedgerTotals(row.replies, row.sends, row.resends, row.moves, row.unknown)


async def _locked(connection: AsyncConnection, chosen: Any) -> list[Delivery]:
    rows = (await connection.execute(chosen.with_for_update(skip_locked=True))).all()
    return await set_aside_unreadable(connection, rows)


async def last_change(connection: AsyncConnection) -> datetime | None:
    """The time of the ledger's last change; None if it is empty."""
    return await connection.scalar(select(func.max(_d.changed_at)))


async def without_delivery(connection: AsyncConnection, ids: Collection[str]) -> set[str]:
    """Those of the replies that have no delivery."""
    known = set((await connection.scalars(select(_d.reply_id).where(_d.reply_id.in_(ids)))).all())
    return set(ids) - known
