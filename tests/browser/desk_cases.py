"""Opens cases of citizens who wrote text messages, in a running town with a router and a desk."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import asyncpg
import httpx

from parvis.common.bus.cloudevents import build_record
from parvis.common.bus.producer import Producer
from parvis.common.contract.contact import ContactPersonalData, ContactPoint
from parvis.common.contract.normalize_contact_points import hash_contact_point
from parvis.common.contract.topics import CONTACT_RECEIVED
from parvis.common.runtime.health import Health
from parvis.common.testing import A_KEY, a_contact
from parvis.local.stack import Stack
from tests.patience import PATIENCE_S


def open_cases(stack: Stack, number: int) -> None:
    """Open cases of the roads department, and wait until its queue shows them."""
    _run(_open_cases(stack, number))


def execute(stack: Stack, *statements: tuple[Any, ...]) -> None:
    """Run SQL statements, each with its values, in the town's database."""
    _run(_execute(stack, statements))


def _run(work: Coroutine[Any, Any, None]) -> None:
    with ThreadPoolExecutor() as pool:  # Playwright's loop runs in this thread
        pool.submit(asyncio.run, work).result()


async def _execute(stack: Stack, statements: tuple[tuple[Any, ...], ...]) -> None:
    connection = await asyncpg.connect(stack.env["PARVIS_DATABASE_URL"].replace("+asyncpg", ""))
    for statement, *values in statements:
        await connection.execute(statement, *values)
    await connection.close()


async def _open_cases(stack: Stack, number: int) -> None:
    producer, at = Producer(stack.kafka, service="a-test", health=Health()), datetime.now(UTC)
    topic = CONTACT_RECEIVED.full_name(stack.plan.topic_prefix)
    for nth in range(number):
        point = ContactPoint(kind="phone", value=f"+336399847{nth:02}")
        words = f"Un nid-de-poule devant le {nth} rue Haute."
        contact = a_contact(
            key=f"case {nth}", received_at=at, recorded_at=at, contact_point_hash=hash_contact_point(point, A_KEY),
            personal=ContactPersonalData.model_validate({"from": point, "text": words}),
        )  # fmt: skip
        key = contact.contact_id
        await producer.send(build_record(contact, topic=topic, key=key, event_id=key, source="a-test"))
    await producer.stop()
    token = {"authorization": f"Bearer {stack.env['PARVIS_DESK_API_TOKEN']}"}
    async with httpx.AsyncClient(headers=token, trust_env=False) as http, asyncio.timeout(PATIENCE_S):
        address, query = f"{stack.url('desk')}/api/v1/cases", {"department": "voirie"}
        while len((await http.get(address, params=query)).json()["cases"]) < number:
            await asyncio.sleep(0.1)
