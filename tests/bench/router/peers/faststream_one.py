"""Runs FastStream as in its tutorial: one handler call per message, validation by the framework, an awaited publish, then the commit."""

# pyright: basic, reportMissingImports=false
# Run in this folder by the peers' own interpreter: their packages are not installed in ours.

import asyncio
import sys

from event import Contact, route
from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaBroker, KafkaMessage

BOOTSTRAP, PREFIX, GROUP = sys.argv[1:]
broker = KafkaBroker(BOOTSTRAP, acks="all", enable_idempotence=True, logger=None)


# The default ACK_FIRST loses messages in a crash; this policy gives at-least-once delivery like the others.
@broker.subscriber(
    f"{PREFIX}.contact.received", group_id=GROUP, auto_offset_reset="earliest", ack_policy=AckPolicy.NACK_ON_ERROR
)
async def route_message(contact: Contact, message: KafkaMessage) -> None:
    department = route(contact)
    value = contact.model_dump_json(by_alias=True, exclude_none=True).encode()
    await broker.publish(value, f"{PREFIX}.department.{department}", key=message.raw_message.key)


asyncio.run(FastStream(broker, logger=None).run())
