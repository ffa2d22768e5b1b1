"""Runs a bare aiosmtpd sink that only publishes each mail to Kafka, as the baseline of the mail benchmark."""

import asyncio
import os
import sys
import uuid

import uvloop
from aiokafka import AIOKafkaProducer
from aiosmtpd.smtp import SMTP, Envelope, Session


class Sink:
    """Answers 250 after Kafka has acknowledged the mail."""

    def __init__(self, producer: AIOKafkaProducer, topic: str) -> None:
        self._producer = producer
        self._topic = topic

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        message_id = str(uuid.uuid4())
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        await self._producer.send_and_wait(self._topic, content, key=message_id.encode())
        return f"250 2.0.0 {message_id}"


async def main(port: int) -> None:
    # The settings of parvis.common.bus.Producer.
    producer = AIOKafkaProducer(
        bootstrap_servers=os.environ["PARVIS_KAFKA_BOOTSTRAP"],  # noqa: TID251 (a benchmark's own)
        enable_idempotence=True, acks="all", linger_ms=2, max_batch_size=256 * 1024,
        request_timeout_ms=5000, metadata_max_age_ms=30_000,
    )  # fmt: skip
    await producer.start()
    loop, sink = asyncio.get_running_loop(), Sink(producer, "bench.bare-mail")
    server = await loop.create_server(lambda: SMTP(sink, hostname="bare", loop=loop), "127.0.0.1", port, backlog=200)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
