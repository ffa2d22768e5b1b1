"""F-01: kill -9 of the router in the middle of its batches, again and again, under load."""

import asyncio
from pathlib import Path

from tests.faults.load import TextMessages
from tests.faults.oracle import Verdict
from tests.faults.scenario import Scenario, healed, town


async def run(var: Path, full: bool) -> Verdict:
    kills, per_second, pause_s = (10, 200, 5.5) if full else (3, 100, 2.5)
    verdict = Verdict()
    with town(var, ["ingest-sms", "router"]) as (stack, log):
        done = asyncio.Event()
        messages = TextMessages(stack, log)
        writing = asyncio.create_task(messages.write(per_second=per_second, seconds=300, enough=done.is_set))
        for _ in range(kills):
            await asyncio.sleep(pause_s)
            await asyncio.to_thread(stack.kill, "router")
        await asyncio.sleep(pause_s)
        done.set()
        await writing
        await healed(stack, log, verdict)
    verdict.figures["kills"] = kills
    verdict.expect(
        verdict.figures.get("told ok", 0) > per_second, "hardly anything was accepted: the load proves nothing"
    )
    return verdict


SCENARIO = Scenario("F-01", "kill -9 the router mid-batch, ten times, at 200 messages/s", "I1 I2 I3 I5 I7", run)
