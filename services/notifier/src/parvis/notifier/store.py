"""The notifier's SQL: replies, the ledger of deliveries, preferences."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, and_, bindparam, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contact import ClaimCheck
from parvis.common.reply import PreferenceChanged, ReplyRequested
from parvis.notifier import tables
from parvis.notifier.decide import preference_now
from parvis.notifier.rules import AUTOMATIC, Delivery

_d = tables.delivery.c
_DAY = timedelta(hours=24)
# What arrived, or may yet.
_ARRIVES = ("reserved", "unknown", "accepted", "delivered")


@dataclass(frozen=True)
class Due:
    """A delivery whose time has come, and the reply that it carries."""

    delivery: Delivery
    reply: ReplyRequested


async def record_replies(connection: AsyncConnection, replies: Sequence[ReplyRequested], now: datetime) -> set[str]:
    """Keep replies; give the ids of those that are new."""
    if not replies:
        return set()
    rows = [
        {
            "reply_id": reply.reply_id,
            "conversation_id": reply.conversation_id,
            "kind": reply.kind,
            "request": reply.model_dump(mode="json", by_alias=True),
            "recorded_at": now,
        }
        for reply in replies
    ]
    new = insert(tables.reply).values(rows).on_conflict_do_nothing().returning(tables.reply.c.reply_id)
    return set((await connection.scalars(new)).all())


async def plan(connection: AsyncConnection, deliveries: Sequence[Delivery], now: datetime) -> None:
    """Write deliveries into the ledger as they are given, in their order; a cancelled one is taken up again."""
    rows = [
        {
            "delivery_id": d.delivery_id,
            "reply_id": d.reply_id,
            "conversation_id": d.conversation_id,
            "reference": d.reference,
            "kind": d.kind,
            "channel": d.channel,
            "address": d.address,
            "address_hash": d.address_hash,
            "state": d.state,
            "send_at": d.send_at,
            "attempt": d.attempt,
            "failure_class": d.failure_class,
            "detail": d.detail,
            "planned_at": now,
            "changed_at": now,
        }
        for d in deliveries
    ]
    if not rows:
        return
    new = insert(tables.delivery).values(rows)
    taken_up = {name: new.excluded[name] for name in ("address", "address_hash", "state", "send_at", "failure_class")}
    again = new.on_conflict_do_update(index_elements=["delivery_id"], set_=taken_up, where=_d.state == "cancelled")
    await connection.execute(again)


async def readdress(connection: AsyncConnection, delivery: Delivery, now: datetime) -> None:
    """Give a planned delivery another address on the same channel."""
    new = {"address": delivery.address, "address_hash": delivery.address_hash, "changed_at": now}
    await connection.execute(update(tables.delivery).where(_d.delivery_id == delivery.delivery_id).values(new))


async def record_preferences(connection: AsyncConnection, preferences: Mapping[str, PreferenceChanged]) -> None:
    """Keep what citizens said, by event id."""
    rows = [
        {
            "event_id": event_id,
            "contact_point_hash": preference.contact_point_hash,
            "event": preference.model_dump(mode="json", by_alias=True),
            "changed_at": preference.changed_at,
        }
        for event_id, preference in preferences.items()
    ]
    if rows:
        await connection.execute(insert(tables.preference).values(rows).on_conflict_do_nothing())


async def preferences_of(connection: AsyncConnection, hashes: Collection[str]) -> dict[str, PreferenceChanged]:
    """What counts now for each contact point of which anything is known."""
    if not hashes:
        return {}
    p = tables.preference.c
    said = select(p.contact_point_hash, p.event).where(p.contact_point_hash.in_(hashes))
    history: dict[str, list[PreferenceChanged]] = {}
    for row in (await connection.execute(said.order_by(p.changed_at, p.event_id))).all():
        history.setdefault(row.contact_point_hash, []).append(PreferenceChanged.model_validate(row.event))
    return {name: preference_now(changes) for name, changes in history.items()}


async def pick_due(connection: AsyncConnection, now: datetime, limit: int) -> list[Due]:
    """Lock deliveries whose time has come, oldest first, one a conversation.

    Order:  by the time they are due; within a conversation in the order in which they were asked for: one that is under
            way or waits for its next attempt holds the later ones back, one that waits for its `send_at` does not.
    Others: what another process has locked is passed over.
    """
    e = tables.delivery.alias("earlier").c
    goes_first = and_(e.state == "planned", e.id < _d.id, or_(e.attempt > 0, e.send_at <= now))
    held_back = exists().where(e.conversation_id == _d.conversation_id, or_(e.state == "reserved", goes_first))
    due = (
        select(tables.delivery, tables.reply.c.request)
        .join(tables.reply, tables.reply.c.reply_id == _d.reply_id)
        .where(_d.state == "planned", _d.send_at <= now, ~held_back)
        .order_by(_d.send_at, _d.id)
        .limit(limit)
        .with_for_update(skip_locked=True, of=tables.delivery)
    )
    rows = (await connection.execute(due)).all()
    return [Due(_delivery(row), ReplyRequested.model_validate(row.request)) for row in rows]


async def lock_addresses(connection: AsyncConnection, hashes: Collection[str]) -> None:
    """Hold addresses against every other process until the end of the transaction; sorted, so that none waits in a ring."""
    a = tables.address
    if hashes:
        ordered = sorted(set(hashes))
        await connection.execute(insert(a).values([{"address_hash": h} for h in ordered]).on_conflict_do_nothing())
        held = select(a.c.address_hash).where(a.c.address_hash.in_(ordered)).order_by(a.c.address_hash)
        await connection.execute(held.with_for_update())


async def sent_to(
    connection: AsyncConnection, hashes: Collection[str], now: datetime, *, but: Collection[str]
) -> dict[str, tuple[int, int]]:
    """Automatic messages and answers that went to each address in the last 24 hours; `but` are not counted."""
    automatic = func.count().filter(_d.kind.in_(AUTOMATIC)).label("automatic")
    counted = (
        select(_d.address_hash, automatic, func.count().label("total"))
        .where(_d.address_hash.in_(hashes), _d.reserved_at > now - _DAY, _d.delivery_id.not_in(but))
        .group_by(_d.address_hash)
    )
    rows = (await connection.execute(counted)).all()
    return {row.address_hash: (row.automatic, row.total - row.automatic) for row in rows}


async def sent_once(connection: AsyncConnection, conversations: Collection[str]) -> set[tuple[str, str, str]]:
    """The registrations and receipts that conversations got: conversation, kind, reply."""
    sent = select(_d.conversation_id, _d.kind, _d.reply_id).where(
        _d.conversation_id.in_(conversations), _d.kind.in_(("registration", "receipt")), _d.state.in_(_ARRIVES)
    )
    return {(row.conversation_id, row.kind, row.reply_id) for row in (await connection.execute(sent)).all()}


async def reserve(
    connection: AsyncConnection, ids: Collection[str], *, worker: str, now: datetime, lease_until: datetime
) -> None:
    """Take locked deliveries for one attempt."""
    taken = {
        "state": "reserved",
        "attempt": _d.attempt + 1,
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
        "worker": None,
        "lease_until": None,
        "reserved_at": None,
        "changed_at": now,
    }
    ours = (_d.delivery_id.in_(ids), _d.state == "reserved", _d.worker == worker)
    await connection.execute(update(tables.delivery).where(*ours).values(undone))


async def lock(connection: AsyncConnection, ids: Collection[str]) -> dict[str, Delivery]:
    """Hold deliveries, in the order of their ids; give them as they stand."""
    held = select(tables.delivery).where(_d.delivery_id.in_(ids)).order_by(_d.delivery_id).with_for_update()
    return {row.delivery_id: _delivery(row) for row in (await connection.execute(held)).all()}


async def change(connection: AsyncConnection, deliveries: Sequence[Delivery], now: datetime) -> None:
    """Write locked deliveries as they now stand."""
    columns = (
        "state", "send_at", "resent_at", "provider", "provider_id", "failure_class", "detail", "evidence", "changed_at",
    )  # fmt: skip
    rows = [
        {
            "row": d.delivery_id,
            "new_state": d.state,
            "new_send_at": d.send_at,
            "new_resent_at": d.resent_at,
            "new_provider": d.provider,
            "new_provider_id": d.provider_id,
            "new_failure_class": d.failure_class,
            "new_detail": d.detail[:200],
            "new_evidence": d.evidence.model_dump(mode="json") if d.evidence else None,
            "new_changed_at": now,
        }
        for d in deliveries
    ]
    if rows:
        values = {name: bindparam(f"new_{name}", type_=_d[name].type) for name in columns}
        await connection.execute(update(tables.delivery).where(_d.delivery_id == bindparam("row")).values(values), rows)


async def lapsed(connection: AsyncConnection, now: datetime, limit: int = 200) -> list[Delivery]:
    """Lock reserved deliveries whose lease has run out."""
    late = select(tables.delivery).where(_d.state == "reserved", _d.lease_until < now).order_by(_d.lease_until)
    return await _locked(connection, late.limit(limit))


async def unknown_since(
    connection: AsyncConnection, instant: datetime, kinds: Collection[str], limit: int = 200
) -> list[Delivery]:
    """Lock deliveries of these kinds that have been unknown since before that instant and were not sent again."""
    old = select(tables.delivery).where(
        _d.state == "unknown", _d.changed_at < instant, _d.kind.in_(kinds), _d.resent_at.is_(None)
    )
    return await _locked(connection, old.order_by(_d.changed_at).limit(limit))


async def _locked(connection: AsyncConnection, chosen: Any) -> list[Delivery]:
    rows = (await connection.execute(chosen.with_for_update(skip_locked=True))).all()
    return [_delivery(row) for row in rows]


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(
        delivery_id=row.delivery_id,
        reply_id=row.reply_id,
        conversation_id=row.conversation_id,
        reference=row.reference,
        kind=row.kind,
        channel=row.channel,
        address=row.address,
        address_hash=row.address_hash,
        state=row.state,
        attempt=row.attempt,
        send_at=row.send_at,
        first_reserved_at=row.first_reserved_at,
        resent_at=row.resent_at,
        provider=row.provider,
        provider_id=row.provider_id,
        failure_class=row.failure_class,
        detail=row.detail,
        evidence=ClaimCheck.model_validate(row.evidence) if row.evidence else None,
    )
