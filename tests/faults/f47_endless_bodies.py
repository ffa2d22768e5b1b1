"""F-47: outsiders pour endless bodies into the notifier's public forms without a link, and into the desk's API without its token."""

import asyncio

from tests.faults.attacker_process import start_attacker
from tests.faults.door_testbed import DoorScenario, DoorTestbed
from tests.faults.oracle import Verdict
from tests.faults.outsider import Poured, pour

_URLENCODED = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data; boundary=parvis"
_FILE = b'--parvis\r\ncontent-disposition: form-data; name="to"; filename="a"\r\n\r\n'
_BLOCK = b"a" * 256 * 1024
_CASE = "/api/v1/cases/00000000-0000-4000-8000-000000000000/reply"


async def run(testbed: DoorTestbed, full: bool) -> Verdict:
    verdict, (megabytes, times) = Verdict(), (500, 4) if full else (4, 1)
    async with start_attacker(_pour_bodies) as attacker, testbed.served_citizens() as served:
        poured = await attacker.run(_pour_bodies, testbed.port("notifier"), testbed.port("desk"), megabytes, times)
    statuses = {one.status for one in poured}
    verdict.expect(statuses <= {0, 401, 404, 413}, f"the bodies got {statuses}")
    verdict.figures |= {"bodies": len(poured), "MB sent": sum(one.sent_bytes for one in poured) >> 20}
    served.check(verdict, full=full)
    testbed.check_memory(verdict, "notifier", most_mb=60, full=full)
    testbed.check_memory(verdict, "desk", most_mb=60, full=full)
    await testbed.settle_and_check(verdict)
    return verdict


async def _pour_bodies(notifier: int, desk: int, megabytes: int, times: int) -> list[Poured]:
    attacks = [
        _pour_body(port, path, kind, megabytes, is_declared=is_declared)
        for is_declared in (True, False)
        for port, path, kind in (
            *(
                (notifier, f"/inbox/none/{action}", kind)
                for action in ("code", "open")
                for kind in (_URLENCODED, _MULTIPART)
            ),
            (notifier, "/unsubscribe/none", _URLENCODED),
            (desk, _CASE, "application/json"),
        )
        for _ in range(times)
    ]
    return await asyncio.gather(*attacks)


async def _pour_body(port: int, path: str, kind: str, megabytes: int, *, is_declared: bool) -> Poured:
    size_bytes = megabytes << 20
    length = f"content-length: {size_bytes * 2}" if is_declared else "transfer-encoding: chunked"
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: {kind}\r\n{length}\r\n\r\n".encode()
    block = _BLOCK if is_declared else b"%x\r\n%s\r\n" % (len(_BLOCK), _BLOCK)
    first = _FILE if kind == _MULTIPART else b'{"text": "' if kind == "application/json" else b"to="
    head += first if is_declared else b"%x\r\n%s\r\n" % (len(first), first)
    return await pour(port, head, block, most_bytes=size_bytes)


SCENARIO = DoorScenario(
    "F-47",
    "48 bodies of 500 MB, urlencoded and multipart, to the notifier's public forms without a link, and JSON to the desk's API without its token",
    "404, 401 or 413; memory bounded; others are served; I1 I4",
    run,
)
