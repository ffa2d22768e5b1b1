"""F-49: HTTP heads without end, heads that come a line at a time, and thousands of half-sent forms, at every HTTP port."""

import asyncio

from tests.faults.door_testbed import SERVICES, DoorScenario, DoorTestbed
from tests.faults.oracle import Verdict
from tests.faults.outsider import hold_connections, pour

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


async def run(testbed: DoorTestbed, full: bool) -> Verdict:
    verdict, megabytes, half_sent = Verdict(), 250 if full else 1, 3000 if full else 120
    ports = [testbed.port(name) for name in SERVICES]
    async with testbed.served_citizens() as served:
        endless = [pour(port, _GET, _LINES, most_bytes=megabytes << 20) for port in ports]
        endless += [pour(port, _GET + b"x-a: ", _VALUE, most_bytes=megabytes << 20) for port in ports]
        slow = [pour(port, _GET, b"x-a: b\r\n", most_bytes=1000, pause_s=2) for port in ports]
        all_poured = await asyncio.gather(*endless, *slow)
        one_too_many = [pour(port, _GET + b"x-a: " + b"a" * (_MOST_HEAD_BYTES - len(_GET) - 4)) for port in ports]
        exact = [one.status for one in await asyncio.gather(*one_too_many)]
        verdict.expect(set(exact) == {431}, f"heads with one byte too many got {exact}")
        for name in _POSTED:
            await _send_halves(testbed, verdict, name, half_sent)
    statuses = {one.status for one in all_poured[: len(endless)]}
    verdict.expect(statuses <= {431, 0}, f"heads without end got {statuses}")
    statuses = {one.status for one in all_poured[len(endless) :]}
    verdict.expect(statuses == {408}, f"slow heads got {statuses}")
    verdict.figures["MB sent"] = sum(one.sent_bytes for one in all_poured) >> 20
    served.check(verdict, full=full)
    for name in SERVICES:
        testbed.check_memory(verdict, name, most_mb=60, full=full)
    await testbed.settle_and_check(verdict)
    return verdict


async def _send_halves(testbed: DoorTestbed, verdict: Verdict, name: str, count: int) -> None:
    """Send the first half of so many forms, and hold the connections."""
    port, refused = testbed.port(name), count - _OF_A_CLIENT
    half = (
        f"POST {_POSTED[name]} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n"
        "content-type: application/x-www-form-urlencoded\r\ncontent-length: 100\r\n\r\nmessage=Bonjour"
    )
    async with hold_connections(port, count, half.encode()) as held:
        # The notifier answers a form without a link before it is whole, and closes its connection ten seconds later.
        answers_early = name == "notifier"
        await held.wait_for_answers(count if answers_early else refused)
        got = dict(held.statuses)
        is_refused = set(got) <= {404, 503} if answers_early else got.get(503, 0) >= refused and set(got) <= {503, 408}
        verdict.expect(is_refused, f"{count} half-sent forms at {name} got {got}")


SCENARIO = DoorScenario(
    "F-49",
    "at every HTTP port: heads of 250 MB in lines and in one value, and a header line every two seconds; 3,000 half-sent forms of one client at each of four",
    "431, 408, and 503 beyond 100 connections; memory bounded; others are served; I1 I4",
    run,
)
