"""F-18: the router dies between Kafka's acknowledgement of what it produced and the commit of its offsets."""

import asyncio
import subprocess
from pathlib import Path

from sqlalchemy import text

from parvis.common.database import Database
from parvis.local.stack import Stack
from tests.faults.load import TextMessages, web_client
from tests.faults.oracle import Verdict
from tests.faults.scenario import Scenario, healed, sabotaged, town, until_ended


async def run(var: Path, full: bool) -> Verdict:
    crashes = 100 if full else 2
    verdict = Verdict()
    with town(var, ["ingest-sms", "router"]) as (stack, log):
        await asyncio.to_thread(stack.stop_one, "router")
        messages = TextMessages(stack, log, senders=7)
        for number in range(crashes):
            router = sabotaged(stack, "router", "die-before-the-second-commit", PARVIS_ROUTER_PORT="0")
            await _write_until_it_dies(stack, router, messages)
            verdict.expect(await until_ended(router, seconds=60), f"the router survived its crash {number}")
        await asyncio.to_thread(stack.start_again, "router")
        await healed(stack, log, verdict)
    doubles = verdict.figures["doubles on department topics"]
    verdict.figures["crashes"] = crashes
    verdict.expect(doubles <= crashes, f"{doubles} doubles after {crashes} crashes")
    verdict.expect(doubles > 0, "no double at all: the crash was not where it should be")
    return verdict


async def _write_until_it_dies(stack: Stack, router: "subprocess.Popen[bytes]", messages: TextMessages) -> None:
    """One message at a time, the next when the one before is decided: a crash repeats one record, not a batch."""
    database = Database(stack.database_url, service="f18")
    try:
        async with web_client() as client, asyncio.timeout(60):
            while router.poll() is None:
                await messages.send_one(client)
                while router.poll() is None and await _decided(database) < messages.sent:
                    await asyncio.sleep(0.05)
    except TimeoutError:
        return
    finally:
        await database.close()


async def _decided(database: Database) -> int:
    async with database.begin() as connection:
        return await connection.scalar(text("select count(*) from router.decision")) or 0


SCENARIO = Scenario(
    "F-18", "crash between produce and offset commit, a hundred times", "I1 I2 I3; doubles ≤ crashes", run
)
