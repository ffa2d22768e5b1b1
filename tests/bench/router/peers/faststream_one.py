"""FastStream as its manual begins: a handler a message, its model validated by the framework, publish awaited, then the commit."""

# pyright: basic, reportMissingImports=false
# Run by an interpreter of the peers' own, in this folder: their packages are not ours.

import asyncio
import sys

from event import Contact, route
from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaBroker, KafkaMessage

BOOTSTRAP, PREFIX, GROUP = sys.argv[1:]
broker = KafkaBroker(BOOTSTRAP, acks="all", enable_idempotence=True, logger=None)


# ACK_FIRST, its default, loses what a crash interrupts; with this policy it promises what the others promise.
@broker.subscriber(
    f"{PREFIX}.contact.received", group_id=GROUP, auto_offset_reset="earliest", ack_policy=AckPolicy.NACK_ON_ERROR
)
async def take(contact: Contact, message: KafkaMessage) -> None:
    department = route(contact)
    value = contact.model_dump_json(by_alias=True, exclude_none=True).encode()
    await broker.publish(value, f"{PREFIX}.department.{department}", key=message.raw_message.key)


asyncio.run(FastStream(broker, logger=None).run())
