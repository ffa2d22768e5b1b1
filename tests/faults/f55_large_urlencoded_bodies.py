"""F-55: large urlencoded bodies without any token, declared and chunked, several at once."""

import asyncio

from tests.faults.attacker_process import start_attacker
from tests.faults.door_testbed import DoorScenario, DoorTestbed
from tests.faults.oracle import Verdict
from tests.faults.outsider import Poured, pour

_PATHS = ("/demarches/road-report", "/demarches/road-report/fichiers")
_BLOCKS = (b"a" * 65536, b"%41" * 21845 + b"a", b"a=b&" * 16384, b"&" * 65536)


async def run(testbed: DoorTestbed, full: bool) -> Verdict:
    verdict = Verdict()
    async with start_attacker(_pour_bodies) as attacker, testbed.served_citizens() as served:
        poured = await attacker.run(_pour_bodies, testbed.port("ingest-web"), 59 if full else 7, 4 if full else 1)
    statuses = {one.status for one in poured}
    verdict.expect(413 in statuses and statuses <= {413, 400, 0}, f"the bodies got {statuses}")
    verdict.figures |= {"bodies": len(poured), "MB sent": sum(one.sent_bytes for one in poured) >> 20}
    served.check(verdict, full=full)
    testbed.check_memory(verdict, "ingest-web", most_mb=100, full=full)
    await testbed.settle_and_check(verdict)
    return verdict


async def _pour_bodies(port: int, megabytes: int, times: int) -> list[Poured]:
    attacks = [
        pour(port, _head(path, megabytes << 20, is_declared=is_declared), _chunk(block, is_declared=is_declared), most_bytes=megabytes << 20)
        for path in _PATHS
        for block in _BLOCKS
        for is_declared in (True, False)
        for _ in range(times)
    ]  # fmt: skip
    return await asyncio.gather(*attacks)


def _head(path: str, size_bytes: int, *, is_declared: bool) -> bytes:
    length = f"content-length: {size_bytes}" if is_declared else "transfer-encoding: chunked"
    kind = "application/x-www-form-urlencoded"
    return f"POST {path} HTTP/1.1\r\nhost: town.example\r\ncontent-type: {kind}\r\n{length}\r\n\r\n".encode()


def _chunk(block: bytes, *, is_declared: bool) -> bytes:
    return block if is_declared else b"%x\r\n%s\r\n" % (len(block), block)


SCENARIO = DoorScenario(
    "F-55",
    "64 urlencoded bodies of 59 MB at once without a token: one value, percent-encoded, millions of fields, separators alone; declared and chunked",
    "413 or 400; memory bounded; others are served; I1 I4",
    run,
)
