"""Copies each record's bytes to one topic with aiokafka on uvloop, in its own batches: the lower bound."""

# pyright: basic, reportMissingImports=false
# Run in this folder by the peers' own interpreter: their packages are not installed in ours.

import asyncio
import sys

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer


async def main(bootstrap: str, prefix: str, group: str) -> None:
    consumer = AIOKafkaConsumer(
        f"{prefix}.contact.received",
        bootstrap_servers=bootstrap,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, linger_ms=0, max_batch_size=256 * 1024
    )
    topic = f"{prefix}.department.triage"
    await producer.start()
    await consumer.start()
    while True:
        fetched = await consumer.getmany(timeout_ms=500, max_records=2000)
        sent: list[asyncio.Future[object]] = []
        for partition, records in fetched.items():
            batch = producer.create_batch()
            for record in records:
                if batch.append(key=record.key, value=record.value, timestamp=None) is None:
                    batch.close()
                    sent.append(await producer.send_batch(batch, topic, partition=partition.partition))
                    batch = producer.create_batch()
                    batch.append(key=record.key, value=record.value, timestamp=None)
            batch.close()
            sent.append(await producer.send_batch(batch, topic, partition=partition.partition))
        if sent:
            await asyncio.gather(*sent)
            await consumer.commit()


uvloop.run(main(*sys.argv[1:]))
