"""Stores and reads how far each hosted mailbox has been emptied."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contract.contact import ContactId
from parvis.common.storage.postgres import Database
from parvis.ingest_email.schema.imap_tables import position, pulled


@dataclass(frozen=True)
class FolderGeneration:
    """A folder in one of its lives: UIDs mean something only together with UIDVALIDITY (RFC 9051 §2.3.1.1)."""

    account: str
    folder: str
    uidvalidity: int


@asynccontextmanager
async def folder_lock(database: Database, folder: FolderGeneration) -> AsyncGenerator[bool]:
    """Keep other replicas from this folder while the block lasts, without a transaction.

    Gives: False when another replica has the folder. A lock that is lost with its connection costs at most a second event
           of the same contact id.
    """
    name = f"imap:{folder.account}/{folder.folder}"
    async with database.autocommit() as connection:
        is_locked = bool(await connection.fetchval("select pg_try_advisory_lock(hashtext($1))", name))
        try:
            yield is_locked
        finally:
            if is_locked and not connection.is_closed():
                await connection.execute("select pg_advisory_unlock(hashtext($1))", name)


async def find_last_uid(connection: AsyncConnection, folder: FolderGeneration) -> int | None:
    """The last mail that was taken; none when the folder is new, or was made anew (another UIDVALIDITY)."""
    query = select(position.c.last_uid, position.c.uidvalidity).where(
        position.c.account == folder.account, position.c.folder == folder.folder
    )
    row = (await connection.execute(query)).one_or_none()
    return row.last_uid if row and row.uidvalidity == folder.uidvalidity else None


async def advance_position(connection: AsyncConnection, folder: FolderGeneration, uid: int) -> None:
    """Everything up to this mail is taken; it also begins a new life of the folder."""
    adding = insert(position).values(
        account=folder.account,
        folder=folder.folder,
        uidvalidity=folder.uidvalidity,
        last_uid=uid,
        advanced_at=func.now(),
    )
    new = {name: adding.excluded[name] for name in ("uidvalidity", "last_uid", "advanced_at")}
    await connection.execute(adding.on_conflict_do_update(index_elements=["account", "folder"], set_=new))


async def record_taken(
    connection: AsyncConnection, folder: FolderGeneration, uid: int, contact_id: ContactId, *, target: str
) -> None:
    """Remember which contact a mail became, and where it is to be put away."""
    adding = insert(pulled).values(
        account=folder.account, folder=folder.folder, uidvalidity=folder.uidvalidity, uid=uid,
        contact_id=contact_id, target=target, pulled_at=func.now(),
    )  # fmt: skip
    await connection.execute(adding.on_conflict_do_nothing())


async def was_taken(connection: AsyncConnection, contact_id: ContactId) -> bool:
    return bool(await connection.scalar(select(pulled.c.uid).where(pulled.c.contact_id == contact_id).limit(1)))


async def list_unmoved(connection: AsyncConnection, folder: FolderGeneration) -> Sequence[tuple[int, str]]:
    """UIDs, with their folder, of what was taken and not put away: somebody fell between the two."""
    query = (
        select(pulled.c.uid, pulled.c.target)
        .where(*_in_folder(folder), pulled.c.put_away_at.is_(None))
        .order_by(pulled.c.uid)
        .limit(500)
    )
    return [(row.uid, row.target) for row in await connection.execute(query)]


async def record_moved(connection: AsyncConnection, folder: FolderGeneration, uid: int) -> None:
    await connection.execute(
        update(pulled).where(*_in_folder(folder), pulled.c.uid == uid).values(put_away_at=func.now())
    )


def _in_folder(folder: FolderGeneration) -> tuple[ColumnElement[bool], ...]:
    return (
        pulled.c.account == folder.account,
        pulled.c.folder == folder.folder,
        pulled.c.uidvalidity == folder.uidvalidity,
    )
