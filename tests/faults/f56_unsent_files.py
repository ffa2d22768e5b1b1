"""F-56: files are uploaded with forms that are never sent, beyond the budget of an address and of a form; then they are swept."""

import asyncio
import itertools
from collections import Counter
from urllib.parse import urlsplit

from sqlalchemy import text

from parvis.common.storage.postgres import Database
from parvis.local.citizen_client import Citizens, FormFile
from tests.faults.door_testbed import FORM, DoorScenario, DoorTestbed
from tests.faults.oracle import Verdict
from tests.patience import PATIENCE_S

_NUMBERS = itertools.count()
_ADDRESS = "203.0.113.66"
_OF_FORM_BYTES = 180_000_000  # three times the largest form
_PHOTO_BYTES = 20_000


async def run(testbed: DoorTestbed, full: bool) -> Verdict:
    verdict, size_bytes = Verdict(), 9_000_000 if full else 900_000
    await _sweep(testbed)  # of what was left unsent before
    before = _blob_bytes(testbed)
    async with testbed.served_citizens() as served, Citizens(testbed.stack) as outsider:
        stored = await _flood(verdict, outsider, size_bytes, 40, testbed.files_budget_bytes, client=_ADDRESS)
        if full:
            stored += await _flood(verdict, outsider, size_bytes, 25, _OF_FORM_BYTES)
        kept, sent = await _send_one(outsider)
    verdict.expect(sent == 303, f"a form with a file got {sent}")
    testbed.references.append(kept)
    served.check(verdict, full=full)
    await testbed.settle_and_check(verdict)
    held_bytes = _blob_bytes(testbed) - before
    await _sweep(testbed)
    left_bytes = _blob_bytes(testbed) - before
    is_swept = _PHOTO_BYTES < left_bytes <= held_bytes - stored
    verdict.expect(is_swept, f"of {held_bytes} bytes, {stored} of them unsent, {left_bytes} were left after the sweep")
    await testbed.settle_and_check(verdict)
    verdict.figures |= {"MB stored and unsent": stored >> 20, "kB left after the sweep": left_bytes >> 10}
    return verdict


async def _flood(
    verdict: Verdict, outsider: Citizens, size_bytes: int, count: int, budget_bytes: int, *, client: str = ""
) -> int:
    """Upload so many files, four at once: of one address with five forms, or without an address with one. Gives the bytes stored."""
    statuses, forms = Counter[int](), [await outsider.open_form("road-report") for _ in range(5 if client else 1)]

    async def upload(numbers: range) -> None:
        for number in numbers:
            answer = await forms[number % len(forms)].upload([_photo(size_bytes)], client=client)
            statuses[answer.status_code] += 1

    await asyncio.gather(*(upload(range(first, count, 4)) for first in range(4)))
    stored = statuses[201] * size_bytes
    verdict.expect(set(statuses) == {201, 429}, f"the files of {client or 'one form'} got {statuses}")
    verdict.expect(stored <= budget_bytes + size_bytes, f"{stored} bytes of {client or 'one form'} were stored")
    return stored


async def _send_one(citizen: Citizens) -> tuple[str, int]:
    """Send a form with a file. Gives its reference and the status."""
    form = await citizen.open_form("road-report")
    answer = await form.send(FORM | {"details": "Un trou, avec une photo."}, files=[_photo(_PHOTO_BYTES)])
    return urlsplit(answer.headers.get("location", "")).path.rpartition("/")[2], answer.status_code


def _photo(size_bytes: int) -> FormFile:
    """A file that begins as a JPEG and differs from all others."""
    number = next(_NUMBERS).to_bytes(4, "big")
    return "photo", ("photo.jpeg", b"\xff\xd8\xff\xe0" + number * (size_bytes // 4 - 1), "image/jpeg")


def _blob_bytes(testbed: DoorTestbed) -> int:
    return sum(file.stat().st_size for file in (testbed.stack.plan.var / "blobs").rglob("*") if file.is_file())


async def _sweep(testbed: DoorTestbed) -> None:
    """Let the files grow old; the sweep runs at the start of the service, and then every hour."""
    database = Database(testbed.stack.database_url, service="operator")
    try:
        async with database.transaction() as connection:
            await connection.execute(
                text("update ingest_web.unsent_form set stored_at = stored_at - interval '4 days'")
            )
        await asyncio.to_thread(testbed.stack.stop_process, "ingest-web")
        await asyncio.to_thread(testbed.stack.start_again, "ingest-web", seconds=PATIENCE_S)
        async with asyncio.timeout(PATIENCE_S):
            while True:
                async with database.transaction() as connection:
                    if not await connection.scalar(text("select count(*) from ingest_web.unsent_form")):
                        return
                await asyncio.sleep(0.2)
    finally:
        await database.close()


SCENARIO = DoorScenario(
    "F-56",
    "40 files of 9 MB of one address and 25 of one form are uploaded, and the forms are never sent; four days pass",
    "429 beyond the budgets of an address and of a form; their files are swept, those of a sent form stay; others are served; I1 I4",
    run,
)
