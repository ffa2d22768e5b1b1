"""Remembers whose files were stored before their form was sent, and sweeps those of forms that never were."""

from datetime import timedelta

from sqlalchemy import Column, DateTime, Select, Table, delete, func, select, update
from sqlalchemy.dialects.postgresql import UUID, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contract.contact import ContactId
from parvis.common.contract.errors import Unavailable
from parvis.common.runtime.logs import logger
from parvis.common.storage.blobs import BlobStore
from parvis.common.storage.postgres import Database
from parvis.ingest_web.store.submissions import METADATA, submission

log = logger()
_MOST_FAILURES = 20  # then it is the blob store, not a form
_RETRY_AFTER = timedelta(days=1)
unsent_form = Table(
    "unsent_form",
    METADATA,
    Column("contact_id", UUID(as_uuid=False), primary_key=True),
    Column("stored_at", DateTime(timezone=True), nullable=False),
)


async def remember_unsent(database: Database, contact: ContactId) -> None:
    """Commit that this contact's blobs are needed from now on; waits for a sweep that is deleting them."""
    adding = insert(unsent_form).values(contact_id=contact, stored_at=func.now())
    async with database.transaction() as connection:
        await connection.execute(
            adding.on_conflict_do_update(index_elements=["contact_id"], set_={"stored_at": func.now()})
        )


async def forget_unsent(connection: AsyncConnection, contact: str) -> None:
    """The form is sent, in this transaction: its blobs stay."""
    await connection.execute(delete(unsent_form).where(unsent_form.c.contact_id == contact))


async def sweep_unsent(database: Database, blobs: BlobStore, unused_for: timedelta) -> int:
    """Delete the blobs of forms that nobody sent, and count these forms. One transaction each; files that
    cannot be deleted stop no others.

    Raises: Unavailable, after the others. A form that failed is tried again in a day, so that many of them do not stand before the others.
    """
    old = select(unsent_form.c.contact_id).where(unsent_form.c.stored_at < func.now() - unused_for)
    async with database.transaction() as connection:
        contacts = list(await connection.scalars(old.order_by(unsent_form.c.stored_at).limit(10_000)))
    swept, failures = 0, list[Unavailable]()
    for contact in contacts:
        try:
            swept += await _sweep(database, blobs, ContactId(contact), old)
        except Unavailable as error:
            failures.append(error)
            await _postpone(database, contact, unused_for)
            if len(failures) >= _MOST_FAILURES:
                break
    if swept:
        log.info("unsent-forms.swept", count=swept)
    if failures:
        raise failures[-1]
    return swept


async def _sweep(database: Database, blobs: BlobStore, contact: ContactId, old: Select[tuple[str]]) -> bool:
    """Delete the blobs of one form unless it is being sent or was; whether they were deleted."""
    async with database.transaction() as connection:
        # The lock comes before the look at submissions: a form that is being sent renews or deletes its row.
        if not await connection.scalar(
            old.where(unsent_form.c.contact_id == contact).with_for_update(skip_locked=True)
        ):
            return False
        is_sent = await connection.scalar(select(submission.c.seed).where(submission.c.contact_id == contact).limit(1))
        if not is_sent:
            await blobs.delete_all(contact)
        await forget_unsent(connection, contact)
        return not is_sent


async def _postpone(database: Database, contact: str, unused_for: timedelta) -> None:
    """Let a form that could not be swept count as old again in a day, unless it was renewed meanwhile."""
    due = (unsent_form.c.contact_id == contact) & (unsent_form.c.stored_at < func.now() - unused_for)
    async with database.transaction() as connection:
        await connection.execute(
            update(unsent_form).where(due).values(stored_at=func.now() - unused_for + _RETRY_AFTER)
        )
