"""What citizens said about how to reach them: rows are added, never changed."""

from collections.abc import Collection, Mapping

from sqlalchemy import Text, cast, func, select
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contract.preference import PreferenceChanged
from parvis.notifier import schema
from parvis.notifier.decide.preferences import Standing, standing

_p = schema.preference.c


async def record_preferences(connection: AsyncConnection, preferences: Mapping[str, PreferenceChanged]) -> None:
    """Keep what was said, by event id."""
    rows = [
        {
            "event_id": event_id,
            "contact_point_hash": preference.contact_point_hash,
            "event": preference.model_dump(mode="json", by_alias=True),
            "changed_at": preference.changed_at,
        }
        for event_id, preference in preferences.items()
    ]
    if rows:
        await connection.execute(insert(schema.preference).values(rows).on_conflict_do_nothing())


async def said_about(connection: AsyncConnection, name: str) -> list[PreferenceChanged]:
    """All that was ever said about a contact point, oldest first."""
    return (await _histories(connection, [name])).get(name, [])


async def standing_of(connection: AsyncConnection, hashes: Collection[str]) -> dict[str, Standing]:
    """What counts now for each contact point of which anything is known."""
    return {name: standing(changes) for name, changes in (await _histories(connection, hashes)).items()}


async def _histories(connection: AsyncConnection, hashes: Collection[str]) -> dict[str, list[PreferenceChanged]]:
    if not hashes:
        return {}
    said = select(_p.contact_point_hash, _p.event).where(
        _p.contact_point_hash == func.any(cast(list(hashes), ARRAY(Text)))
    )
    histories: dict[str, list[PreferenceChanged]] = {}
    for row in (await connection.execute(said.order_by(_p.changed_at, _p.event_id))).all():
        histories.setdefault(row.contact_point_hash, []).append(PreferenceChanged.model_validate(row.event))
    return histories
