"""Reads the contacts that Kafka still holds, for the operator's commands."""

import sys
from collections.abc import AsyncGenerator

from parvis.common.bus.connection import Brokers
from parvis.common.bus.topic_reader import read_all_records
from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.errors import Poison


async def read_contacts(brokers: Brokers, topic: str) -> AsyncGenerator[ContactReceived]:
    """Yield every readable contact; what cannot be read, which the router has dead-lettered, is counted on stderr."""
    unreadable = 0
    async for received in read_all_records(brokers, [topic]):
        try:
            event = received.event((ContactReceived,))
        except Poison:
            unreadable += 1
            continue
        if isinstance(event, ContactReceived):
            yield event
    if unreadable:
        print(f"{unreadable} records of {topic} are no contacts: left out", file=sys.stderr)
