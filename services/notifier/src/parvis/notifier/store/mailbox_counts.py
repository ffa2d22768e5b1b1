"""Counts the automatic mails of a day by mailbox, so that a plus in the address makes no new one (RFC 5233)."""

from collections import Counter
from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.notifier import schema

_s = schema.source_tally.c
_DAY = timedelta(hours=24)


async def mails_of_day(connection: AsyncConnection, mailboxes: Collection[str], now: datetime) -> Counter[str]:
    """The automatic mails of the last 24 hours to each mailbox, by its hash. Call it after the mailboxes are locked."""
    counts = (
        select(_s.source, func.sum(_s.mails).label("mails"))
        .where(_s.source.in_(mailboxes), _s.hour > now - _DAY)
        .group_by(_s.source)
    )
    rows = (await connection.execute(counts)).all() if mailboxes else []
    return Counter({row.source: int(row.mails) for row in rows})


async def count_mails(connection: AsyncConnection, mails: Counter[str], now: datetime) -> None:
    """Add to the tallies of this hour; `delete_old_tallies` deletes them after a day."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    for mailbox, number in sorted(mails.items()):
        new = insert(schema.source_tally).values(source=mailbox, hour=hour, segments=0, letters=0, mails=number)
        added = {"mails": _s.mails + new.excluded.mails}
        await connection.execute(new.on_conflict_do_update(index_elements=["source", "hour"], set_=added))
