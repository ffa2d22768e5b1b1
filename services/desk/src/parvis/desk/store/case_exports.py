"""Reads the cases of a view as the text of a CSV or JSON file, a few hundred in memory at a time."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.storage.postgres import Database
from parvis.desk.models.queue import QueueFilter
from parvis.desk.render.case_export import (
    ExportRow,
    Labels,
    csv_head,
    csv_lines,
    damaged_row,
    export_row,
    json_items,
)
from parvis.desk.schema.case_tables import case_file
from parvis.desk.store.queue_queries import QueueReader
from parvis.desk.store.row_decoding import decode_readable_case

PAGE_SIZE = 500
ExportFormat = Literal["csv", "json"]
MEDIA_TYPES: dict[ExportFormat, str] = {"csv": "text/csv; charset=utf-8", "json": "application/json"}


class ExportInterrupted(Exception):
    """The right to export ended while it ran; the connection is cut, so that nobody takes a part for the whole."""


@dataclass(frozen=True)
class CaseExport:
    """An export: whose cases, which of them, and in what words. `is_allowed` is asked before each page."""

    database: Database
    reader: QueueReader
    wanted: QueueFilter
    zone: ZoneInfo
    is_allowed: Callable[[AsyncConnection], Awaitable[bool]]
    labels: Labels

    def headers(self, form: ExportFormat, at: datetime) -> dict[str, str]:
        """The headers of the download, whose name has the department and the day."""
        name = f"{self.reader.agent.department}-{at.astimezone(self.zone):%Y-%m-%d}.{form}"
        return {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}

    async def text(self, form: ExportFormat) -> AsyncGenerator[str]:
        """The file, page by page. Raises: ExportInterrupted; Unavailable."""
        yield csv_head(self.labels) if form == "csv" else "[\n"
        is_first = True
        async for rows in self._pages():
            yield csv_lines(rows, self.zone, self.labels) if form == "csv" else json_items(rows, is_first=is_first)
            is_first = is_first and not rows
        if form == "json":
            yield "\n]\n"

    async def _pages(self) -> AsyncGenerator[list[ExportRow]]:
        """Each page in a transaction of its own, so that a slow reader holds no connection."""
        after = ""
        while True:
            async with self.database.transaction() as connection:
                if not await self.is_allowed(connection):
                    raise ExportInterrupted
                rows = await _read_page(connection, self.reader, self.wanted, after)
            yield rows
            if len(rows) < PAGE_SIZE:
                return
            after = str(rows[-1]["conversation_id"])


async def _read_page(
    connection: AsyncConnection, reader: QueueReader, wanted: QueueFilter, after: str
) -> list[ExportRow]:
    """The rows after a conversation; a case that cannot be read has a row with its ids.

    Order: by conversation id, which begins with the time of the first contact and never changes: a case that is there all the while
           is read once, whatever else changes between two pages.
    """
    query = select(case_file).where(*reader.conditions(wanted)).order_by(case_file.c.conversation_id).limit(PAGE_SIZE)
    if after:
        query = query.where(case_file.c.conversation_id > after)
    rows = (await connection.execute(query)).mappings().all()
    decoded = [(row, decode_readable_case(dict(row))) for row in rows]
    return [
        export_row(case) if case else damaged_row(row["conversation_id"], row["reference"]) for row, case in decoded
    ]
