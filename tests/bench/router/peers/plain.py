"""Runs the plain loop: aiokafka's getmany, pydantic, one expression per rule, send; one commit per getmany."""

# pyright: basic, reportMissingImports=false
# Run in this folder by the peers' own interpreter: their packages are not installed in ours.

import asyncio
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from event import routed


async def main(bootstrap: str, prefix: str, group: str) -> None:
    consumer = AIOKafkaConsumer(
        f"{prefix}.contact.received",
        bootstrap_servers=bootstrap,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, linger_ms=5, max_batch_size=256 * 1024
    )
    await producer.start()
    await consumer.start()
    while True:
        fetched = await consumer.getmany(timeout_ms=500, max_records=2000)
        sent: list[asyncio.Future[object]] = []
        for records in fetched.values():
            for record in records:
                department, value = routed(record.value or b"")
                sent.append(await producer.send(f"{prefix}.department.{department}", value, key=record.key))
        if sent:
            await asyncio.gather(*sent)
            await consumer.commit()


asyncio.run(main(*sys.argv[1:]))
