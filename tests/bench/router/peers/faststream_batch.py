"""Runs FastStream in batch mode: a list of records per call, `publish_batch` in chunks that fit its buffer, one commit per call."""

# pyright: basic, reportMissingImports=false
# Run in this folder by the peers' own interpreter: their packages are not installed in ours.

import asyncio
import sys
from collections import defaultdict

from event import routed
from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaBroker, KafkaMessage

BOOTSTRAP, PREFIX, GROUP = sys.argv[1:]
CHUNK = 100  # publish_batch raises above max_batch_size
broker = KafkaBroker(
    BOOTSTRAP, acks="all", enable_idempotence=True, linger_ms=5, max_batch_size=256 * 1024, logger=None
)


@broker.subscriber(
    f"{PREFIX}.contact.received",
    group_id=GROUP,
    auto_offset_reset="earliest",
    batch=True,
    max_records=2000,
    ack_policy=AckPolicy.NACK_ON_ERROR,
)
async def route_batch(message: KafkaMessage) -> None:
    queues: dict[str, list[bytes]] = defaultdict(list)
    for record in message.raw_message:
        department, value = routed(record.value)
        queues[department].append(value)
    await asyncio.gather(
        *(
            broker.publish_batch(*values[begin : begin + CHUNK], topic=f"{PREFIX}.department.{department}")
            for department, values in queues.items()
            for begin in range(0, len(values), CHUNK)
        )
    )


asyncio.run(FastStream(broker, logger=None).run())
