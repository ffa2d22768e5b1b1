"""How far each hosted mailbox has been pulled, in and out of PostgreSQL; only where there is one."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, ColumnElement, DateTime, Table, Text, func, select, text, update
from sqlalchemy.dialects.postgresql import UUID, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contract.contact import ContactId
from parvis.common.storage.postgres import Database, schema_metadata

_METADATA = schema_metadata("ingest_email")

position = Table(
    "position",
    _METADATA,
    Column("account", Text, primary_key=True),
    Column("folder", Text, primary_key=True),
    Column("uidvalidity", BigInteger, nullable=False),
    Column("last_uid", BigInteger, nullable=False),
    Column("advanced_at", DateTime(timezone=True), nullable=False),
)
pulled = Table(
    "pulled",
    _METADATA,
    Column("account", Text, primary_key=True),
    Column("folder", Text, primary_key=True),
    Column("uidvalidity", BigInteger, primary_key=True),
    Column("uid", BigInteger, primary_key=True),
    Column("contact_id", UUID(as_uuid=False), nullable=False),
    Column("target", Text, nullable=False),
    Column("pulled_at", DateTime(timezone=True), nullable=False),
    Column("put_away_at", DateTime(timezone=True)),
)


@dataclass(frozen=True)
class FolderState:
    """A folder in one of its lives: UIDs mean something only together with UIDVALIDITY (RFC 9051 §2.3.1.1)."""

    account: str
    folder: str
    uidvalidity: int


async def try_lock_folder(connection: AsyncConnection, place: FolderState) -> bool:
    """Whether no other replica pulls this folder now; it is ours until the transaction ends."""
    name = f"imap:{place.account}/{place.folder}"
    return bool(await connection.scalar(text("select pg_try_advisory_xact_lock(hashtext(:name))"), {"name": name}))


async def find_last_uid(connection: AsyncConnection, place: FolderState) -> int | None:
    """The last mail that was taken; none when the folder is new, or was made anew (another UIDVALIDITY)."""
    query = select(position.c.last_uid, position.c.uidvalidity).where(
        position.c.account == place.account, position.c.folder == place.folder
    )
    row = (await connection.execute(query)).one_or_none()
    return row.last_uid if row and row.uidvalidity == place.uidvalidity else None


async def advance_position(connection: AsyncConnection, place: FolderState, uid: int) -> None:
    """Everything up to this mail is taken; it also begins a new life of the folder."""
    adding = insert(position).values(
        account=place.account, folder=place.folder, uidvalidity=place.uidvalidity, last_uid=uid, advanced_at=func.now()
    )
    new = {name: adding.excluded[name] for name in ("uidvalidity", "last_uid", "advanced_at")}
    await connection.execute(adding.on_conflict_do_update(index_elements=["account", "folder"], set_=new))


async def record_taken(
    connection: AsyncConnection, place: FolderState, uid: int, contact_id: ContactId, *, target: str
) -> None:
    """Remember which contact a mail became, and where it is to be put away."""
    adding = insert(pulled).values(
        account=place.account, folder=place.folder, uidvalidity=place.uidvalidity, uid=uid,
        contact_id=contact_id, target=target, pulled_at=func.now(),
    )  # fmt: skip
    await connection.execute(adding.on_conflict_do_nothing())


async def was_taken(connection: AsyncConnection, contact_id: ContactId) -> bool:
    return bool(await connection.scalar(select(pulled.c.uid).where(pulled.c.contact_id == contact_id).limit(1)))


async def list_unmoved(connection: AsyncConnection, place: FolderState) -> Sequence[tuple[int, str]]:
    """UIDs, with their folder, of what was taken and not put away: somebody fell between the two."""
    query = (
        select(pulled.c.uid, pulled.c.target)
        .where(*_in_folder(place), pulled.c.put_away_at.is_(None))
        .order_by(pulled.c.uid)
        .limit(500)
    )
    return [(row.uid, row.target) for row in await connection.execute(query)]


async def record_moved(connection: AsyncConnection, place: FolderState, uid: int) -> None:
    await connection.execute(
        update(pulled).where(*_in_folder(place), pulled.c.uid == uid).values(put_away_at=func.now())
    )


def _in_folder(place: FolderState) -> tuple[ColumnElement[bool], ...]:
    return (
        pulled.c.account == place.account,
        pulled.c.folder == place.folder,
        pulled.c.uidvalidity == place.uidvalidity,
    )


async def check_schema(database: Database) -> None:
    """Raise Unavailable when PostgreSQL does not answer, or has not our tables yet."""
    async with asyncio.timeout(5), database.transaction() as connection:
        await connection.execute(select(position.c.last_uid).limit(0))
