"""The ledger's rows: planned, locked, changed."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contract.contact import ClaimCheck
from parvis.notifier import schema
from parvis.notifier.models.delivery import Delivery

_d = schema.delivery.c
_COLUMNS = {
    "delivery_id": "text", "reply_id": "text", "conversation_id": "text", "reference": "text", "kind": "text",
    "channel": "text", "address": "text", "address_hash": "text", "state": "text", "send_at": "timestamptz",
    "attempt": "integer", "failure_class": "text", "detail": "text", "step": "integer", "why": "text", "sends": "integer",
}  # fmt: skip
_CHANGED = {
    "delivery_id": "text", "state": "text", "send_at": "timestamptz", "resent_at": "timestamptz", "provider": "text",
    "provider_id": "text", "failure_class": "text", "detail": "text", "evidence": "text", "moves_to": "text",
    "sends": "integer",
}  # fmt: skip
_TAKEN_UP = ("address", "address_hash", "state", "send_at", "failure_class", "detail", "step", "why")

_REBUILT = ("first_reserved_at", "reserved_at", "resent_at", "provider", "provider_id", "moves_to")


def _arrays(columns: Mapping[str, str]) -> str:
    return ", ".join(f"cast(:{name} as {kind}[])" for name, kind in columns.items())


# Arrays, not a row of parameters each: one statement whatever the number, parsed once on both sides.
_PLAN = text(
    f"""
    insert into notifier.delivery ({", ".join(_COLUMNS)}, planned_at, changed_at)
    select new.*, :now, :now from unnest({_arrays(_COLUMNS)}) as new
    on conflict (delivery_id) do update set {", ".join(f"{name} = excluded.{name}" for name in _TAKEN_UP)}
    where delivery.state = 'cancelled'
    """  # noqa: S608 (our own names)
)
_CHANGE = text(
    f"""
    update notifier.delivery as d set changed_at = :now, evidence = new.evidence::jsonb,
        {", ".join(f"{name} = new.{name}" for name in _CHANGED if name not in {"delivery_id", "evidence"})}
    from unnest({_arrays(_CHANGED)}) as new ({", ".join(_CHANGED)})
    where d.delivery_id = new.delivery_id
    """  # noqa: S608
)
_LOCK = text("select * from notifier.delivery where delivery_id = any(:ids) order by delivery_id for update")


async def plan(connection: AsyncConnection, deliveries: Sequence[Delivery], now: datetime) -> None:
    """Write deliveries into the ledger as they are given, in their order; a cancelled one is taken up again."""
    if deliveries:
        values = {name: [getattr(d, name) for d in deliveries] for name in _COLUMNS}
        await connection.execute(_PLAN, values | {"now": now})


async def put(connection: AsyncConnection, deliveries: Sequence[Delivery], now: datetime) -> None:
    """Write deliveries as they stand, whether they were there or not."""
    for d in deliveries:
        values = {name: getattr(d, name) for name in (*_COLUMNS, *_REBUILT)}
        values |= {"evidence": d.evidence.model_dump(mode="json") if d.evidence else None, "changed_at": now}
        new = insert(schema.delivery).values(values | {"planned_at": now})
        await connection.execute(new.on_conflict_do_update(index_elements=["delivery_id"], set_=values))


async def readdress(connection: AsyncConnection, delivery: Delivery, now: datetime) -> None:
    """Give a planned delivery another address on the same channel."""
    new = {"address": delivery.address, "address_hash": delivery.address_hash, "changed_at": now}
    await connection.execute(update(schema.delivery).where(_d.delivery_id == delivery.delivery_id).values(new))


async def hold(connection: AsyncConnection, ids: Collection[str], until: datetime) -> None:
    """Let planned deliveries wait."""
    if ids:
        held = update(schema.delivery).where(_d.delivery_id.in_(ids), _d.state == "planned")
        await connection.execute(held.values(send_at=until))


async def lock(connection: AsyncConnection, ids: Collection[str]) -> dict[str, Delivery]:
    """Hold deliveries, in the order of their ids; give them as they stand."""
    if not ids:
        return {}
    return {row.delivery_id: delivery_of(row) for row in (await connection.execute(_LOCK, {"ids": list(ids)})).all()}


async def of_replies(connection: AsyncConnection, ids: Collection[str]) -> dict[str, list[Delivery]]:
    """All steps of some replies, first to last."""
    found = select(schema.delivery).where(_d.reply_id.in_(ids)).order_by(_d.step, _d.id)
    steps: dict[str, list[Delivery]] = {}
    for row in (await connection.execute(found)).all():
        steps.setdefault(row.reply_id, []).append(delivery_of(row))
    return steps


async def change(connection: AsyncConnection, deliveries: Sequence[Delivery], now: datetime) -> None:
    """Write locked deliveries as they now stand."""
    if not deliveries:
        return
    values: dict[str, list[Any]] = {name: [getattr(d, name) for d in deliveries] for name in _CHANGED}
    values["detail"] = [d.detail[:200] for d in deliveries]
    values["evidence"] = [d.evidence.model_dump_json() if d.evidence else None for d in deliveries]
    await connection.execute(_CHANGE, values | {"now": now})


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
        evidence=_claim(row.evidence),
        step=row.step,
        why=row.why,
        moves_to=row.moves_to,
        sends=row.sends,
    )


def _claim(kept: Any) -> ClaimCheck | None:
    """As text where a statement of ours asked, decoded where SQLAlchemy knew the column."""
    if not kept:
        return None
    return ClaimCheck.model_validate_json(kept) if isinstance(kept, str) else ClaimCheck.model_validate(kept)
