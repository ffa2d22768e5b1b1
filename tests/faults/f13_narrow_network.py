"""F-13: the way to Kafka carries 10 KB/s: producers' buffers fill; the door says "later" in time, and nobody's memory grows."""

import time
from typing import Any

import psutil

from tests.faults.cut import Cable
from tests.faults.load import TextMessages
from tests.faults.oracle import Verdict
from tests.faults.scenario import Play
from tests.faults.stage import Stage
from tests.faults.twilio import another_door

NARROW_BYTES_PER_S = 10_000
LONGEST_ANSWER_S = 12.0  # Twilio gives up after 15 s
LARGEST_GROWTH_BYTES = 150 * 1024 * 1024


async def play(stage: Stage, full: bool) -> Verdict:
    seconds, per_second = (60, 200) if full else (1.5, 60)
    verdict, first = Verdict(), len(stage.log.attempts)
    host, _, port = stage.stack.kafka.partition(":")
    narrow = Cable(host, int(port))
    async with (
        narrow.running(),
        another_door(stage.stack, "narrow-door", PARVIS_KAFKA_BOOTSTRAP=narrow.bootstrap) as door,
        stage.load(per_second=per_second // 2, transfers_every_s=None) as contacts,
    ):
        messages = TextMessages(stage.stack, stage.log, senders=800, run=f"narrow {stage.plays}", door=door)
        await contacts.until_sent(10)
        before = _memory(stage, door)
        narrow.bytes_per_s = stage.cable.bytes_per_s = NARROW_BYTES_PER_S
        await messages.write(per_second=per_second, seconds=seconds)
        grown = max(now - then for now, then in zip(_memory(stage, door), before, strict=True))
        narrow.mend()
        stage.cable.mend()
        began = time.monotonic()
        await messages.write(per_second=20, seconds=1)
        verdict.figures["answered after the mend ms"] = int((time.monotonic() - began) * 1000)
    await stage.healed(verdict)
    direct = {attempt.contact_id for attempt in contacts.mine}
    sent = [attempt for attempt in stage.log.attempts[first:] if attempt.contact_id not in direct]
    longest_s = max(attempt.answered_at - attempt.asked_at for attempt in sent)
    verdict.figures |= {"told later": sum(attempt.outcome == "fail" for attempt in sent)}
    verdict.figures |= {"longest answer ms": int(longest_s * 1000), "memory grew MB": grown // 1024 // 1024}
    verdict.expect_within(longest_s, LONGEST_ANSWER_S, "a sender waited", full=full)
    verdict.expect(grown <= LARGEST_GROWTH_BYTES, f"a process grew by {grown // 1024 // 1024} MB")
    verdict.expect(verdict.figures["told later"] > 0, "nobody was told to come later")
    return verdict


def _memory(stage: Stage, door: str) -> list[int]:
    """Resident bytes of the door and of each router."""
    ports = [int(door.rpartition(":")[2]), *stage.routers.ports]
    ours = psutil.Process().children(recursive=True)
    listening = {c.laddr.port: one for one in ours for c in _sockets(one) if c.status == psutil.CONN_LISTEN}
    return [listening[port].memory_info().rss for port in ports]


def _sockets(process: psutil.Process) -> list[Any]:
    try:
        return process.net_connections("tcp")
    except psutil.Error:
        return []


SCENARIO = Play(
    "F-13",
    "10 KB/s between Kafka and a door and three routers, for a minute, at 200 messages/s",
    "503 within 12 s; memory bounded; I1 I2 I3 I4 I7",
    play,
    "two",
)
