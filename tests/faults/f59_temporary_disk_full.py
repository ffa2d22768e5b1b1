"""F-59: the disk of the services' temporary files is full while citizens send forms with files."""

import asyncio
import time

import httpx

from parvis.local.citizen_client import Citizens, FormFile
from tests.faults.door_testbed import FORM, DoorScenario, DoorTestbed
from tests.faults.oracle import Verdict
from tests.faults.outsider import why_no_outsiders
from tests.faults.small_disk import why_no_small_disk
from tests.patience import PATIENCE_S

_TYPED = "Un trou profond devant l’école, avec une photo."
_PHOTO: FormFile = ("photo", ("photo.jpeg", b"\xff\xd8\xff\xe0" + bytes(3_000_000), "image/jpeg"))


async def run(testbed: DoorTestbed, full: bool) -> Verdict:
    verdict, rounds = Verdict(), 50 if full else 2
    assert testbed.disk
    async with testbed.served_citizens() as served, Citizens(testbed.stack) as citizens:
        await asyncio.to_thread(testbed.disk.fill)
        try:
            verdict.expect(
                await _wait_for_note(testbed, is_full=True), "/ready of ingest-web does not say that the disk is full"
            )
            for _ in range(rounds):
                form = await citizens.open_form("road-report")
                answer = await form.send(FORM | {"details": _TYPED}, files=[_PHOTO])
                verdict.expect(answer.status_code == 503, f"a form with a file got {answer.status_code}")
                verdict.expect(_TYPED in answer.text, "the page lost the typed text")
                upload = await form.upload([_PHOTO])
                verdict.expect(upload.status_code == 503, f"an uploaded file got {upload.status_code}")
        finally:
            testbed.disk.clear()
        verdict.expect(
            await _wait_for_note(testbed, is_full=False), "/ready of ingest-web still says that the disk is full"
        )
        form = await citizens.open_form("road-report")
        answer = await form.send(FORM | {"details": _TYPED}, files=[_PHOTO])
        verdict.expect(answer.status_code == 303, f"after the fault a form with a file got {answer.status_code}")
        testbed.references.append(answer.headers.get("location", "").partition("?")[0].rpartition("/")[2])
    served.check(verdict, full=full)
    await testbed.settle_and_check(verdict)
    verdict.figures["forms refused"] = rounds
    return verdict


async def _wait_for_note(testbed: DoorTestbed, *, is_full: bool) -> bool:
    """Whether /ready says within the tests' patience that the disk is full, or that it no longer is; it stays ready."""
    ends_at = time.monotonic() + PATIENCE_S
    async with httpx.AsyncClient() as client:
        while time.monotonic() < ends_at:
            answer = await client.get(f"{testbed.stack.url('ingest-web')}/ready")
            if answer.status_code == 200 and ("full" in answer.json().get("temporary-files", "")) == is_full:
                return True
            await asyncio.sleep(0.3)
    return False


SCENARIO = DoorScenario(
    "F-59",
    "the disk of `/tmp` is full while 50 forms with files are sent and 50 files are uploaded",
    "503 with the typed text; `/ready` of `ingest-web` says so and stays 200; forms without files are accepted; I1 I4",
    run,
    missing_requirement=lambda: why_no_outsiders() or why_no_small_disk(),
)
