"""Replies in; what counts now for every contact point that could matter to them out of the table."""

from collections.abc import Iterable

from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contract.reply import ReplyRequested
from parvis.notifier.decide.channel_choice import Addressing, point_of, points_of
from parvis.notifier.decide.preferences import Standing
from parvis.notifier.store.preferences import standing_of


async def kept_for(
    connection: AsyncConnection, addressing: Addressing, replies: Iterable[ReplyRequested]
) -> dict[str, Standing]:
    """By the hash of the contact point; those that a preference names are looked up in a second round."""
    hashes = {addressing.hash_of(point) for reply in replies for point in points_of(reply)}
    kept = await standing_of(connection, hashes)
    named = [point for stands in kept.values() for wish in stands.reply_channels if (point := point_of(wish))]
    further = {addressing.hash_of(point) for point in named} - hashes
    return kept | await standing_of(connection, further) if further else kept
