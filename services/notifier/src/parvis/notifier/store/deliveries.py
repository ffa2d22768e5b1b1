"""The ledger's rows: planned, locked, changed."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contact import ClaimCheck
from parvis.notifier import tables
from parvis.notifier.rules import Delivery

_d = tables.delivery.c
_CHANGED = (
    "state", "send_at", "resent_at", "provider", "provider_id", "failure_class", "detail", "evidence", "moves_to", "sends",
    "changed_at",
)  # fmt: skip


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
            "step": d.step,
            "why": d.why,
            "sends": d.sends,
            "planned_at": now,
            "changed_at": now,
        }
        for d in deliveries
    ]
    if not rows:
        return
    new = insert(tables.delivery).values(rows)
    names = ("address", "address_hash", "state", "send_at", "failure_class", "detail", "step", "why")
    taken_up = {name: new.excluded[name] for name in names}
    again = new.on_conflict_do_update(index_elements=["delivery_id"], set_=taken_up, where=_d.state == "cancelled")
    await connection.execute(again)


async def readdress(connection: AsyncConnection, delivery: Delivery, now: datetime) -> None:
    """Give a planned delivery another address on the same channel."""
    new = {"address": delivery.address, "address_hash": delivery.address_hash, "changed_at": now}
    await connection.execute(update(tables.delivery).where(_d.delivery_id == delivery.delivery_id).values(new))


async def hold(connection: AsyncConnection, ids: Collection[str], until: datetime) -> None:
    """Let planned deliveries wait."""
    if ids:
        held = update(tables.delivery).where(_d.delivery_id.in_(ids), _d.state == "planned")
        await connection.execute(held.values(send_at=until))


async def lock(connection: AsyncConnection, ids: Collection[str]) -> dict[str, Delivery]:
    """Hold deliveries, in the order of their ids; give them as they stand."""
    held = select(tables.delivery).where(_d.delivery_id.in_(ids)).order_by(_d.delivery_id).with_for_update()
    return {row.delivery_id: delivery_of(row) for row in (await connection.execute(held)).all()}


async def of_replies(connection: AsyncConnection, ids: Collection[str]) -> dict[str, list[Delivery]]:
    """All steps of some replies, first to last."""
    found = select(tables.delivery).where(_d.reply_id.in_(ids)).order_by(_d.step, _d.id)
    steps: dict[str, list[Delivery]] = {}
    for row in (await connection.execute(found)).all():
        steps.setdefault(row.reply_id, []).append(delivery_of(row))
    return steps


async def change(connection: AsyncConnection, deliveries: Sequence[Delivery], now: datetime) -> None:
    """Write locked deliveries as they now stand."""
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
            "new_moves_to": d.moves_to,
            "new_sends": d.sends,
            "new_changed_at": now,
        }
        for d in deliveries
    ]
    if rows:
        values = {name: bindparam(f"new_{name}", type_=_d[name].type) for name in _CHANGED}
        await connection.execute(update(tables.delivery).where(_d.delivery_id == bindparam("row")).values(values), rows)


def delivery_of(row: Row[Any]) -> Delivery:
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
        reserved_at=row.reserved_at,
        resent_at=row.resent_at,
        provider=row.provider,
        provider_id=row.provider_id,
        failure_class=row.failure_class,
        detail=row.detail,
        evidence=ClaimCheck.model_validate(row.evidence) if row.evidence else None,
        step=row.step,
        why=row.why,
        moves_to=row.moves_to,
        sends=row.sends,
    )
