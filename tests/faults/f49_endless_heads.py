"""F-49: HTTP heads without end, heads that come a line at a time, and thousands of half-sent forms, at every HTTP port."""

import asyncio
from collections.abc import Sequence

from tests.faults.attacker_process import start_attacker
from tests.faults.door_testbed import SERVICES, DoorScenario, DoorTestbed
from tests.faults.oracle import Verdict
from tests.faults.outsider import Poured, hold_connections, pour

_GET = b"GET / HTTP/1.1\r\nhost: town.example\r\n"
_LINES, _VALUE = b"x-a: b\r\n" * 8192, b"a" * 65536
_MOST_HEAD_BYTES = 64 * 1024
_OF_A_CLIENT = 100  # the setting's default
_POSTED = {
    "ingest-web": "/demarches/road-report",
    "ingest-sms": "/sms",
    "notifier": "/inbox/none/code",
    "desk": "/login",
}
_ANSWERS_EARLY = "notifier"  # a form without a link, before it is whole; it closes that connection ten seconds later


async def run(testbed: DoorTestbed, full: bool) -> Verdict:
    verdict, megabytes, half_sent = Verdict(), 250 if full else 1, 3000 if full else 120
    ports = [testbed.port(name) for name in SERVICES]
    async with start_attacker(_pour_heads) as attacker, testbed.served_citizens() as served:
        endless, slow, exact = await attacker.run(_pour_heads, ports, megabytes)
        for name in _POSTED:
            got = await attacker.run(_send_halves, testbed.port(name), name, half_sent)
            _check_halves(verdict, name, got, half_sent - _OF_A_CLIENT)
    for what, poured, may_be in (
        ("heads without end", endless, {431, 0}), ("slow heads", slow, {408}), ("heads with one byte too many", exact, {431}),
    ):  # fmt: skip
        statuses = {one.status for one in poured}
        verdict.expect(statuses <= may_be, f"{what} got {statuses}")
    verdict.figures["MB sent"] = sum(one.sent_bytes for one in (*endless, *slow)) >> 20
    served.check(verdict, full=full)
    for name in SERVICES:
        testbed.check_memory(verdict, name, most_mb=60, full=full)
    await testbed.settle_and_check(verdict)
    return verdict


async def _pour_heads(ports: Sequence[int], megabytes: int) -> tuple[list[Poured], list[Poured], list[Poured]]:
    """Pour heads without end and slow ones at once, then heads that are one byte too long."""
    lines = asyncio.gather(*(pour(port, _GET, _LINES, most_bytes=megabytes << 20) for port in ports))
    values = asyncio.gather(*(pour(port, _GET + b"x-a: ", _VALUE, most_bytes=megabytes << 20) for port in ports))
    slow = asyncio.gather(*(pour(port, _GET, b"x-a: b\r\n", most_bytes=1000, pause_s=2) for port in ports))
    endless, ended_slowly = await lines + await values, await slow
    one_too_many = _GET + b"x-a: " + b"a" * (_MOST_HEAD_BYTES - len(_GET) - 4)
    return endless, ended_slowly, await asyncio.gather(*(pour(port, one_too_many) for port in ports))


async def _send_halves(port: int, name: str, count: int) -> dict[int, int]:
    """Send the first half of so many forms, and hold the connections. Gives how many got which status."""
    half = (
        f"POST {_POSTED[name]} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n"
        "content-type: application/x-www-form-urlencoded\r\ncontent-length: 100\r\n\r\nmessage=Bonjour"
    )
    async with hold_connections(port, count, half.encode()) as held:
        await held.wait_for_answers(count if name == _ANSWERS_EARLY else count - _OF_A_CLIENT)
        return dict(held.statuses)


def _check_halves(verdict: Verdict, name: str, got: dict[int, int], refused: int) -> None:
    is_refused = (
        set(got) <= {404, 503} if name == _ANSWERS_EARLY else got.get(503, 0) >= refused and set(got) <= {503, 408}
    )
    verdict.expect(is_refused, f"half-sent forms at {name} got {got}")


SCENARIO = DoorScenario(
    "F-49",
    "at every HTTP port: heads of 250 MB in lines and in one value, and a header line every two seconds; 3,000 half-sent forms of one client at each of four",
    "431, 408, and 503 beyond 100 connections; memory bounded; others are served; I1 I4",
    run,
)
