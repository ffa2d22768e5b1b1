"""Appends to the audit trail, reads it, and verifies its chain of hashes."""

import hashlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import insert, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.desk.models.accounts import AuditEntry, AuditRecord
from parvis.desk.schema.account_tables import audit_entry

_BATCH = 1000
# The trigger gives each row its number and its hashes.
_GIVEN_BY_TRIGGER: dict[str, object] = {"number": 0, "previous_hash": b"", "hash": b""}


@dataclass(frozen=True)
class AuditFilter:
    """Which entries are wanted. Empty fields mean all; `before` is the number that the page begins below; `until` is not in it."""

    account_id: str = ""
    action: str = ""
    subject: str = ""
    before: int | None = None
    since: datetime | None = None
    until: datetime | None = None


async def append_audit(connection: AsyncConnection, record: AuditRecord) -> None:
    """Append one entry; it is there if and only if the transaction commits.

    Order: as the last statement of a transaction: until it commits, nobody else can append.
    """
    cleaned = {
        name: value.replace("\x00", "") if isinstance(value, str) else value for name, value in record.__dict__.items()
    }
    await connection.execute(insert(audit_entry).values(cleaned | _GIVEN_BY_TRIGGER))


async def read_audit(connection: AsyncConnection, wanted: AuditFilter, limit: int) -> list[AuditEntry]:
    """Entries, newest first: by their number, or by their instant where a time is wanted, whose index then finds them."""
    table = audit_entry.c
    is_timed = wanted.since or wanted.until
    order = (table.at, table.number) if is_timed else (table.number,)
    query = select(audit_entry).order_by(*(column.desc() for column in order)).limit(limit)
    for column, value in (
        (table.account_id, wanted.account_id),
        (table.action, wanted.action),
        (table.subject, wanted.subject),
    ):
        if value:
            query = query.where(column == value)
    if wanted.since:
        query = query.where(table.at >= wanted.since)
    if wanted.until:
        query = query.where(table.at < wanted.until)
    if wanted.before:
        shown = await connection.scalar(select(table.at).where(table.number == wanted.before)) if is_timed else None
        query = query.where(tuple_(*order) < ((shown, wanted.before) if shown else (wanted.before,)))
    return [AuditEntry(**row) for row in (await connection.execute(query)).mappings()]


@dataclass(frozen=True)
class AuditVerdict:
    """What a verification found: the number of sound entries, the newest's hash, and the first fault if there is one."""

    entries: int
    head: bytes
    fault: str = ""


async def verify_audit(connection: AsyncConnection) -> AuditVerdict:
    """Follow the chain from its beginning and compute every hash anew.

    Gives:  the fault names the first entry that was changed, or is missing before another. A cut end shows only against a
            head that was noted elsewhere.
    """
    previous, number = b"", 0
    async for entry in _every_entry(connection):
        if entry.number != number + 1:
            return AuditVerdict(number, previous, f"entry {number + 1} is missing")
        if entry.previous_hash != previous or entry.hash != compute_hash(entry):
            return AuditVerdict(number, previous, f"entry {entry.number} was changed")
        previous, number = entry.hash, entry.number
    return AuditVerdict(number, previous)


async def _every_entry(connection: AsyncConnection) -> AsyncGenerator[AuditEntry]:
    after = 0
    while True:
        query = select(audit_entry).where(audit_entry.c.number > after).order_by(audit_entry.c.number).limit(_BATCH)
        rows = (await connection.execute(query)).mappings().all()
        for row in rows:
            yield AuditEntry(**row)
        if len(rows) < _BATCH:
            return
        after = rows[-1]["number"]


def compute_hash(entry: AuditEntry) -> bytes:
    """SHA-256 over the entry's fields as netstrings without commas: each with its length in bytes before it."""
    at = entry.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    fields = (
        str(entry.number), at, entry.account_id, entry.actor, entry.action, entry.department, entry.subject, entry.detail,
        entry.previous_hash.hex(),
    )  # fmt: skip
    digest = hashlib.sha256()
    for value in fields:
        content = value.encode()
        digest.update(f"{len(content)}:".encode() + content)
    return digest.digest()


async def read_hash(connection: AsyncConnection, number: int) -> bytes | None:
    """The hash of one entry. None if there is none."""
    return await connection.scalar(select(audit_entry.c.hash).where(audit_entry.c.number == number))
