"""Runs the bare loop that the notifier is compared with: consume, call Twilio's official client, commit."""

import asyncio
import json
import os
import sys
from typing import Any

import uvloop
from aiokafka import AIOKafkaConsumer
from twilio.rest import Client

from parvis.twilio.http_client import TwilioHttpClient


async def main(base_url: str, in_flight: int, topic: str) -> None:
    env = os.environ  # noqa: TID251 (settings of the benchmark)
    account, town = env["PARVIS_NOTIFIER_TWILIO_ACCOUNT_SID"], "+33536490100"
    http = TwilioHttpClient(base_url=base_url, timeout_s=10, max_connections=in_flight)
    twilio = Client(account, env["PARVIS_NOTIFIER_TWILIO_AUTH_TOKEN"], http_client=http)
    consumer: Any = AIOKafkaConsumer(
        topic,
        bootstrap_servers=env["PARVIS_KAFKA_BOOTSTRAP"], group_id="bare-notifier", enable_auto_commit=False,
        auto_offset_reset="earliest",
    )  # fmt: skip
    room = asyncio.Semaphore(in_flight)

    async def send(value: bytes) -> None:
        reply = json.loads(value)
        try:
            await twilio.messages.create_async(
                to=reply["personal"]["contact_points"][0]["value"], from_=town, body=reply["personal"]["text"],
                status_callback=f"http://127.0.0.1:1/sms/status?reply={reply['reply_id']}",
            )  # fmt: skip
        finally:
            room.release()

    await consumer.start()
    async with asyncio.TaskGroup() as group:
        while True:
            for records in (await consumer.getmany(timeout_ms=200, max_records=500)).values():
                for record in records:
                    await room.acquire()
                    group.create_task(send(record.value))
            await consumer.commit()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
