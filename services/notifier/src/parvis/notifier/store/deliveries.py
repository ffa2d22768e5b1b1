"""Stores deliveries: inserts planned ones, locks, reads and updates them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contract.contact import ClaimCheck
from parvis.common.runtime.logs import logger
from parvis.notifier import schema
from parvis.notifier.decide.delivery_event import delivery_updated
from parvis.notifier.models.delivery import Delivery

log = logger()
_d = schema.delivery.c
_READ_COLUMNS = [field.name for field in fields(Delivery) if field.name not in {"evidence", "large_print"}]
_COLUMNS = {
    "delivery_id": "text", "reply_id": "text", "conversation_id": "text", "reference": "text", "kind": "text",
    "channel": "text", "address": "text", "address_hash": "text", "state": "text", "send_at": "timestamptz",
    "attempt": "integer", "failure_class": "text", "detail": "text", "step": "integer", "why": "text", "sends": "integer",
}  # fmt: skip
_CHANGED = {
    "delivery_id": "text", "state": "text", "send_at": "timestamptz", "resent_at": "timestamptz", "provider": "text",
    "provider_id": "text", "failure_class": "text", "detail": "text", "evidence": "text", "moves_to": "text",
    "sends": "integer", "stage": "text",
}  # fmt: skip
_TAKEN_UP = ("address", "address_hash", "state", "send_at", "failure_class", "detail", "step", "why")

_REBUILT = ("first_reserved_at", "reserved_at", "resent_at", "provider", "provider_id", "moves_to", "stage")


def _arrays(columns: Mapping[str, str]) -> str:
    return ", ".join(f"cast(:{name} as {kind}[])" for name, kind in columns.items())


# Arrays instead of a parameter row each: the same statement for any number of rows, so it is parsed once.
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


async def insert_planned(connection: AsyncConnection, deliveries: Sequence[Delivery], now: datetime) -> None:
    """Insert planned deliveries in their order; one that was cancelled is planned again."""
    if deliveries:
        values = {name: [getattr(d, name) for d in deliveries] for name in _COLUMNS}
        await connection.execute(_PLAN, values | {"now": now})


async def upsert_rebuilt(connection: AsyncConnection, deliveries: Sequence[Delivery], now: datetime) -> None:
    """Insert or overwrite rebuilt deliveries."""
    for d in deliveries:
        values = {name: getattr(d, name) for name in (*_COLUMNS, *_REBUILT)}
        values |= {"evidence": d.evidence.model_dump(mode="json") if d.evidence else None, "changed_at": now}
        new = insert(schema.delivery).values(values | {"planned_at": now})
        await connection.execute(new.on_conflict_do_update(index_elements=["delivery_id"], set_=values))


async def readdress(connection: AsyncConnection, delivery: Delivery, now: datetime) -> None:
    """Give a planned delivery another address on the same channel."""
    new = {"address": delivery.address, "address_hash": delivery.address_hash, "changed_at": now}
    await connection.execute(update(schema.delivery).where(_d.delivery_id == delivery.delivery_id).values(new))


async def hold_deliveries(connection: AsyncConnection, ids: Collection[str], until: datetime) -> None:
    """Postpone planned deliveries until an instant."""
    if ids:
        statement = update(schema.delivery).where(_d.delivery_id.in_(ids), _d.state == "planned")
        await connection.execute(statement.values(send_at=until))


async def lock_deliveries(connection: AsyncConnection, ids: Collection[str]) -> dict[str, Delivery]:
    """Lock deliveries in the order of their ids; gives those that exist and can be read, by id."""
    if not ids:
        return {}
    rows = (await connection.execute(_LOCK, {"ids": list(ids)})).all()
    return {delivery.delivery_id: delivery for delivery in read_deliveries(rows)}


async def deliveries_of_replies(connection: AsyncConnection, ids: Collection[str]) -> dict[str, list[Delivery]]:
    """All deliveries of each reply, by reply id, first step first."""
    statement = select(schema.delivery).where(_d.reply_id.in_(ids)).order_by(_d.step, _d.id)
    steps: dict[str, list[Delivery]] = {}
    for delivery in read_deliveries((await connection.execute(statement)).all()):
        steps.setdefault(delivery.reply_id, []).append(delivery)
    return steps


async def update_changed(connection: AsyncConnection, deliveries: Sequence[Delivery], now: datetime) -> None:
    """Update locked deliveries."""
    if not deliveries:
        return
    values: dict[str, list[Any]] = {name: [getattr(d, name) for d in deliveries] for name in _CHANGED}
    values["detail"] = [d.detail[:200] for d in deliveries]
    values["evidence"] = [d.evidence.model_dump_json() if d.evidence else None for d in deliveries]
    await connection.execute(_CHANGE, values | {"now": now})


def read_deliveries(rows: Iterable[Row[Any]]) -> list[Delivery]:
    """Read rows; one that cannot be read is left out and logged as an error."""
    deliveries: list[Delivery] = []
    for row in rows:
        try:
            deliveries.append(read_delivery(row))
        except ValueError:
            log.exception("delivery-row.unreadable", delivery_id=row.delivery_id, reply_id=row.reply_id)
    return deliveries


async def set_aside_unreadable(connection: AsyncConnection, rows: Sequence[Row[Any]]) -> list[Delivery]:
    """Read a locked batch. Rows that cannot be read are set to `failed`, so that they block nothing."""
    deliveries = read_deliveries(rows)
    unreadable = {row.delivery_id for row in rows} - {delivery.delivery_id for delivery in deliveries}
    if unreadable:
        end = {"state": "failed", "failure_class": "refused", "detail": "the row cannot be read"}
        await connection.execute(update(schema.delivery).where(_d.delivery_id.in_(unreadable)).values(end))
    return deliveries


def read_delivery(row: Row[Any]) -> Delivery:
    """Raises: ValueError, if no event could be published of the row."""
    values = {name: getattr(row, name) for name in _READ_COLUMNS}
    delivery = Delivery(**values, evidence=_read_claim(row.evidence))
    delivery_updated(delivery, delivery.send_at)
    return delivery


def _read_claim(stored: Any) -> ClaimCheck | None:
    """Raw SQL returns JSON text; SQLAlchemy's columns return it decoded."""
    if not stored:
        return None
    return ClaimCheck.model_validate_json(stored) if isinstance(stored, str) else ClaimCheck.model_validate(stored)
