"""Stores citizens' preferences; rows are added, never changed."""

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
    """Every preference that was recorded for a contact point, oldest first; an unreadable one is left out and logged."""
    return [change for change in (await _histories(connection, [name])).get(name, []) if change]


async def effective_preferences_of(
    connection: AsyncConnection, hashes: Collection[str]
) -> dict[str, EffectivePreference]:
    """The preference in force for each contact point that has one, by hash; `is_unreadable` where a row cannot be read."""
    return {name: effective_preference(history) for name, history in (await _histories(connection, hashes)).items()}


async def _histories(connection: AsyncConnection, hashes: Collection[str]) -> dict[str, list[PreferenceChanged | None]]:
    """Every change of each contact point, oldest first; None for one that cannot be read, with an error in the log."""
    if not hashes:
        return {}
    statement = select(_p.event_id, _p.contact_point_hash, _p.event).where(
        _p.contact_point_hash == func.any(cast(list(hashes), ARRAY(Text)))
    )
    histories: dict[str, list[PreferenceChanged | None]] = {}
    for row in (await connection.execute(statement.order_by(_p.changed_at, _p.event_id))).all():
        change = _read_change(row.event_id, row.contact_point_hash, row.event)
        histories.setdefault(row.contact_point_hash, []).append(change)
    return histories


def _read_change(event_id: str, contact_point_hash: str, event: object) -> PreferenceChanged | None:
    try:
        return PreferenceChanged.model_validate(event)
    except ValueError:
        log.exception("stored-preference.unreadable", code=event_id, sender_hash=contact_point_hash)
        return None
