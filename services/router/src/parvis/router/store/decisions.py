"""Reads and writes decisions. The caller owns the transaction."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contract.errors import Unavailable
from parvis.router.models.stored_rows import Conversation, DecisionRow


class ConcurrentUpdate(Unavailable):
    """Another router committed one of these rows first. Retry the transaction: its rows are visible now."""


_IS_MIGRATED = text("select to_regclass('router.decision') is not null")

_DECISIONS = text("""
    select id, kind, conversation_id, sequence, opens, value, decided_at, came
    from router.decision where id = any(cast(:ids as uuid[]))
""")

_OPEN = text("""
    insert into router.conversation (id, opened_by, reference, department, sequence, procedure, opened_at, last_contact_at,
        linked_to)
    select * from unnest(
        cast(:ids as uuid[]), cast(:openers as uuid[]), cast(:references as text[]), cast(:departments as text[]), cast(:sequences as integer[]),
        cast(:procedures as text[]), cast(:opened as timestamptz[]), cast(:latest as timestamptz[]),
        cast(:linked as uuid[])
    )
    on conflict do nothing
""")

_CONTINUE = text("""
    update router.conversation c
    set department = n.department, sequence = n.sequence, last_contact_at = n.latest, closed_at = n.closed_at
    from unnest(
        cast(:ids as uuid[]), cast(:departments as text[]), cast(:sequences as integer[]),
        cast(:latest as timestamptz[]), cast(:closed as timestamptz[])
    ) as n (id, department, sequence, latest, closed_at)
    where c.id = n.id
""")

_DECIDE = text("""
    insert into router.decision (id, kind, conversation_id, sequence, opens, value, decided_at, came)
    select * from unnest(
        cast(:ids as uuid[]), cast(:kinds as text[]), cast(:conversations as uuid[]), cast(:sequences as integer[]),
        cast(:opens as boolean[]), cast(:values as text[]), cast(:decided as timestamptz[]), cast(:came as text[])
    )
    on conflict do nothing
""")


async def is_migrated(connection: AsyncConnection) -> bool:
    return bool(await connection.scalar(_IS_MIGRATED))


async def find_decisions(connection: AsyncConnection, ids: Sequence[UUID]) -> dict[UUID, DecisionRow]:
    """The stored decisions with these ids."""
    rows = await connection.execute(_DECISIONS, {"ids": list(ids)})
    return {row["id"]: build_decision_row(row) for row in rows.mappings()}


def build_decision_row(row: RowMapping) -> DecisionRow:
    """A row of `decision`; its column `came` is the field `source`."""
    return DecisionRow(
        id=row["id"],
        kind=row["kind"],
        conversation_id=row["conversation_id"],
        sequence=row["sequence"],
        opens=row["opens"],
        value=row["value"],
        decided_at=row["decided_at"],
        source=row["came"],
    )


async def insert_decisions(
    connection: AsyncConnection, rows: Sequence[DecisionRow], conversations: Sequence[Conversation]
) -> None:
    """Store decisions, and the new state of their conversations.

    Order:  decisions first, by id: a second router with the same contacts waits here, before it holds any other lock.

    Raises: ConcurrentUpdate, when another router stored one of them first; roll the transaction back.
    """
    in_order = sorted(rows, key=lambda row: row.id)
    if (await connection.execute(_DECIDE, _deciding(in_order))).rowcount < len(rows):
        raise ConcurrentUpdate("a contact was decided by another router")
    new = sorted((c for c in conversations if c.is_new), key=lambda c: c.id)
    openers = {row.conversation_id: row.id for row in rows if row.opens}
    if new and (await connection.execute(_OPEN, _opening(new, openers))).rowcount < len(new):
        raise ConcurrentUpdate("a conversation was opened by another router")
    changed = [c for c in conversations if not c.is_new]
    if changed:
        await connection.execute(_CONTINUE, _continuing(changed))


def _opening(new: Sequence[Conversation], openers: Mapping[UUID | None, UUID]) -> dict[str, Any]:
    return {
        "ids": [c.id for c in new],
        "openers": [openers.get(c.id) for c in new],
        "references": [c.reference for c in new],
        "departments": [c.department for c in new],
        "sequences": [c.sequence for c in new],
        "procedures": [c.procedure for c in new],
        "opened": [c.opened_at for c in new],
        "latest": [c.last_contact_at for c in new],
        "linked": [c.linked_to for c in new],
    }


def _continuing(changed: Sequence[Conversation]) -> dict[str, Any]:
    return {
        "ids": [c.id for c in changed],
        "departments": [c.department for c in changed],
        "sequences": [c.sequence for c in changed],
        "latest": [c.last_contact_at for c in changed],
        "closed": [c.closed_at for c in changed],
    }


def _deciding(rows: Sequence[DecisionRow]) -> dict[str, Any]:
    return {
        "ids": [row.id for row in rows],
        "kinds": [row.kind for row in rows],
        "conversations": [row.conversation_id for row in rows],
        "sequences": [row.sequence for row in rows],
        "opens": [row.opens for row in rows],
        "values": [row.value for row in rows],
        "decided": [row.decided_at for row in rows],
        "came": [row.source for row in rows],
    }
