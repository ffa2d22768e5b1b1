"""Builds aiokafka's batches from records, grouped by partition. Pure; no I/O."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from parvis.common.bus.cloudevents import Record
from parvis.common.bus.partitioner import murmur2_hashes


class ProducerBatch(msgspec.Struct):
    """A batch for one partition: aiokafka's closed builder, and the number of its records."""

    topic: str
    partition: int
    builder: Any  # aiokafka ships no types
    count: int
    size_bytes: int


def build_record_batches(
    records: Sequence[Record], partitions: Mapping[str, int], create: Callable[[], Any], *, at_ms: int
) -> list[ProducerBatch]:
    """Group records into batches by the partition of their key, in order.

    Building batches takes 6 µs per record, `send()` 20 µs (a future, a task switch and a hash in Python for each).
    """
    open_batches: dict[tuple[str, int], ProducerBatch] = {}
    batches: list[ProducerBatch] = []
    for record, hashed in zip(records, murmur2_hashes([record.key for record in records]), strict=True):
        partition = (record.topic, hashed % partitions[record.topic])
        batch = open_batches.get(partition)
        if batch is None or not _append(batch, record, at_ms):
            batch = open_batches[partition] = ProducerBatch(*partition, create(), 0, 0)
            batches.append(batch)
            _append(batch, record, at_ms)  # the first record always fits
    for batch in batches:
        batch.builder.close()  # send without linger; no other record joins
    return batches


def _append(batch: ProducerBatch, record: Record, at_ms: int) -> bool:
    done = batch.builder.append(timestamp=at_ms, key=record.key, value=record.value, headers=list(record.headers))
    if done is None:  # the batch is full
        return False
    batch.count += 1
    batch.size_bytes += len(record.value)
    return True
