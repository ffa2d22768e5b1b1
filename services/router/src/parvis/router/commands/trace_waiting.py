"""Lists the contacts that the router holds back, for `parvis trace`."""

from parvis.common.contract.event_base import format_instant
from parvis.common.runtime.settings import SharedSettings
from parvis.common.storage.postgres import Database
from parvis.router.decide.conversation_working_set import parse_uuid
from parvis.router.models.stored_rows import WaitingRow
from parvis.router.store import waiting_queue

_WHY = {
    "question": "for the answer to a question to its sender, else people read it then",
    "trouble": "to be tried again",
    "queued": "behind another one of its sender",
}


async def list_waiting_contacts(town: SharedSettings, ids: frozenset[str]) -> list[str]:
    """One line per waiting contact that has one of these ids, or that may belong to one of these conversations.

    Raises: Unavailable.
    """
    wanted = sorted({id_ for name in ids if (id_ := parse_uuid(name))})
    database = Database(town.database_url.get_secret_value(), service="trace")
    try:
        async with database.transaction() as connection:
            rows = await waiting_queue.find_waiting_about(connection, wanted)
    finally:
        await database.close()
    return [_line(row) for row in rows]


def _line(row: WaitingRow) -> str:
    position = f"{row.topic}[{row.partition}]@{row.offset}"
    if row.placed_at:
        return (
            f"{format_instant(row.placed_at)}  {'placed':<20} {row.contact_id}  about to be published to its department"
        )
    until = f" until {format_instant(row.due_at)}" if row.due_at else ""
    tried = f", tried {row.attempts} times: {row.reason}" if row.attempts else ""
    return f"{format_instant(row.waits_since)}  {'waiting':<20} {row.contact_id}  {position}{until}, {_WHY[row.why]}{tried}"
