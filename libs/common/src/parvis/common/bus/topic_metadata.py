"""Asks Kafka how many partitions the topics of a batch have, and which topics do not exist."""

import asyncio
from typing import Any

from parvis.common.contract.errors import Unavailable

_TRIES, _RETRY_S = 4, 0.2  # a new topic is not known to every broker at once


async def count_partitions(client: Any, topics: set[str]) -> dict[str, int]:
    """Count the partitions of each topic; a topic that Kafka does not know, asked a few times, is left out.

    Raises: Unavailable, when no broker answers.
    """
    counts = _known(client, topics)
    for attempt in range(_TRIES):
        if len(counts) == len(topics):
            break
        if attempt:
            await asyncio.sleep(_RETRY_S)
        for topic in topics - counts.keys():
            client.add_topic(topic)
        if not await client.force_metadata_update():
            raise Unavailable("Kafka does not answer")
        counts = _known(client, topics)
    return counts


def _known(client: Any, topics: set[str]) -> dict[str, int]:
    found = {topic: client.cluster.partitions_for_topic(topic) for topic in topics}
    return {topic: len(partitions) for topic, partitions in found.items() if partitions}
