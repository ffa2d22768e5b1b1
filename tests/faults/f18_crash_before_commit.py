"""F-18: the router dies between Kafka's acknowledgement of what it produced and the commit of its offsets."""

import asyncio
from pathlib import Path

import httpx

from tests.faults.load import TextMessages
from tests.faults.oracle import Verdict, look
from tests.faults.scenario import Scenario, healed, sabotaged, town, until_ended


async def run(var: Path, full: bool) -> Verdict:  # noqa: FBT001 (the two sizes)
    crashes = 100 if full else 3
    verdict = Verdict()
    with town(var, ["ingest-sms", "router"]) as (stack, log):
        await asyncio.to_thread(stack.stop_one, "router")
        messages = TextMessages(stack, log, senders=7)
        async with httpx.AsyncClient(timeout=10) as client:
            await messages.deliver(client, f"SM{0:032x}", 0)
            for number in range(1, crashes + 1):
                router = sabotaged(stack, "router", "die-before-the-second-commit", PARVIS_ROUTER_PORT="0")
                deaths = asyncio.create_task(until_ended(router, seconds=60))
                while not deaths.done():  # a second batch is what it dies of
                    await messages.deliver(client, f"SM{number:032x}", number)
                    if len((await look(stack)).routed) > number:
                        break
                    await asyncio.sleep(0.3)
                verdict.expect(await deaths, f"the router survived its crash {number}")
        await asyncio.to_thread(stack.start_again, "router")
        await healed(stack, log, verdict)
    doubles = verdict.figures["doubles on department topics"]
    verdict.figures["crashes"] = crashes
    verdict.expect(doubles <= crashes, f"{doubles} doubles after {crashes} crashes")
    verdict.expect(doubles > 0, "no double at all: the crash was not where it should be")
    return verdict


SCENARIO = Scenario("F-18", "crash between produce and offset commit, a hundred times", "I1 I2 I3; doubles ≤ crashes", run)
