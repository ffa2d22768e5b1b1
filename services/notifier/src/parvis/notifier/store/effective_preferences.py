"""Loads the preferences in force for every contact point of some replies."""

from collections.abc import Iterable

from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contract.reply import ReplyRequested
from parvis.notifier.decide.channel_choice import ChannelChooser, contact_point_of, contact_points_of
from parvis.notifier.decide.preferences import EffectivePreference
from parvis.notifier.store.preferences import effective_preferences_of


async def load_effective_preferences(
    connection: AsyncConnection, chooser: ChannelChooser, replies: Iterable[ReplyRequested]
) -> dict[str, EffectivePreference]:
    """The preferences by contact point hash. Addresses that a preference names are looked up in a second query."""
    hashes = {chooser.hash_of(point) for reply in replies for point in contact_points_of(reply)}
    known = await effective_preferences_of(connection, hashes)
    addresses = [address for preference in known.values() for address in preference.reply_channels]
    named = {chooser.hash_of(point) for address in addresses if (point := contact_point_of(address))}
    further = named - hashes
    return known | await effective_preferences_of(connection, further) if further else known
