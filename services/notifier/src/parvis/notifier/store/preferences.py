"""Stores what citizens said about how to reach them: rows are added, never changed."""

from collections.abc import Collection, Mapping

from sqlalchemy import Text, cast, func, select
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contract.preference import PreferenceChanged
from parvis.common.runtime.logs import logger
from parvis.notifier import schema
from parvis.notifier.decide.preferences import EffectivePreference, effective_preference

log = logger()
_p = schema.preference.c


async def record_preferences(connection: AsyncConnection, preferences: Mapping[str, PreferenceChanged]) -> None:
    """Add preferences, by event id. Idempotent."""
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


async def preference_log_of(connection: AsyncConnection, name: str) -> list[PreferenceChanged]:
    """Every preference that was recorded for a contact point, oldest first; unreadable ones are left out and logged."""
    return (await _histories(connection, [name])).get(name, [])


async def effective_preferences_of(
    connection: AsyncConnection, hashes: Collection[str]
) -> dict[str, EffectivePreference]:
    """The preference in force for each contact point of which anything is known."""
    return {name: effective_preference(changes) for name, changes in (await _histories(connection, hashes)).items()}


async def _histories(connection: AsyncConnection, hashes: Collection[str]) -> dict[str, list[PreferenceChanged]]:
    if not hashes:
        return {}
    statement = select(_p.event_id, _p.contact_point_hash, _p.event).where(
        _p.contact_point_hash == func.any(cast(list(hashes), ARRAY(Text)))
    )
    histories: dict[str, list[PreferenceChanged]] = {}
    for row in (await connection.execute(statement.order_by(_p.changed_at, _p.event_id))).all():
        try:
            change = PreferenceChanged.model_validate(row.event)
        except ValueError:
            log.exception("preference.unreadable", code=row.event_id, sender_hash=row.contact_point_hash)
        else:
            histories.setdefault(row.contact_point_hash, []).append(change)
    return histories
