"""A department's own system: reads its queue at least once, works each event once, and knows which conversations it may answer."""

import asyncio
import json
import os
import sqlite3
from collections.abc import Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.helpers import create_ssl_context

SETTINGS = os.environ
TABLES = """
CREATE TABLE IF NOT EXISTS seen (event_id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS cases (conversation_id TEXT PRIMARY KEY, sequence INTEGER, is_ours INTEGER);
CREATE TABLE IF NOT EXISTS messages (event_id TEXT PRIMARY KEY, conversation_id TEXT, content TEXT);
CREATE TABLE IF NOT EXISTS unreadable (topic TEXT, kafka_partition INTEGER, kafka_offset INTEGER,
    PRIMARY KEY (topic, kafka_partition, kafka_offset));
"""
NEWEST_WINS = """
INSERT INTO cases VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET sequence = excluded.sequence, is_ours = excluded.is_ours
WHERE excluded.sequence > cases.sequence
"""


def work(store: sqlite3.Connection, kind: str, event_id: str, event: Mapping[str, Any]) -> None:
    """Apply one event to the store, once. Order is `sequence`, not the order of arrival; never wait for a gap."""
    decision = event.get("routing", event)
    if store.execute("INSERT OR IGNORE INTO seen VALUES (?)", [event_id]).rowcount == 0 or "sequence" not in decision:
        return  # a repetition, or an answer to a request of this system, which changes no case
    conversation, is_ours = decision["conversation_id"], kind != "conversation.left"  # left: answer it no more
    store.execute(NEWEST_WINS, [conversation, decision["sequence"], is_ours])
    if kind == "contact.routed":
        store.execute("INSERT INTO messages VALUES (?, ?, ?)", [event_id, conversation, json.dumps(event["contact"])])


def take(store: sqlite3.Connection, record: ConsumerRecord[bytes, bytes]) -> None:
    """Apply one record; one that cannot be read is noted for people, and stops no other."""
    try:
        headers = {name: value.decode() for name, value in record.headers}
        with store:
            work(store, headers["ce_type"], headers["ce_id"], json.loads(record.value or b""))
    except (ValueError, KeyError, TypeError, AttributeError):
        with store:
            store.execute(
                "INSERT OR IGNORE INTO unreadable VALUES (?, ?, ?)", [record.topic, record.partition, record.offset]
            )


async def main() -> None:
    """Read for ever. Offsets are committed after the store: what a crash makes Kafka repeat is known by its id."""
    user = SETTINGS["KAFKA_USERNAME"]  # <prefix>-department-<slug>; its consumer group has the same name
    store = sqlite3.connect(SETTINGS["STORE"])
    store.executescript(TABLES)
    consumer = AIOKafkaConsumer(
        SETTINGS["TOPIC"], bootstrap_servers=SETTINGS["KAFKA_BOOTSTRAP"], group_id=user, client_id=user,
        enable_auto_commit=False, auto_offset_reset="earliest", security_protocol="SASL_SSL",
        sasl_mechanism="SCRAM-SHA-512", sasl_plain_username=user, sasl_plain_password=SETTINGS["KAFKA_PASSWORD"],
        ssl_context=create_ssl_context(cafile=SETTINGS["KAFKA_CA_FILE"]),
    )  # fmt: skip
    async with consumer:
        while True:
            batches = await consumer.getmany(timeout_ms=1000)
            for record in (record for records in batches.values() for record in records):
                take(store, record)
            if batches:
                await consumer.commit()


if __name__ == "__main__":
    asyncio.run(main())
