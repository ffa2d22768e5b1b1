"""F-60: PostgreSQL is frozen (SIGSTOP to all its processes) while citizens send forms; then it goes on."""

import asyncio
import signal
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace

import psutil

from parvis.local.citizen_client import Citizens
from parvis.local.stack import Stack
from tests.faults.door_testbed import FORM
from tests.faults.oracle import Verdict, read_state
from tests.faults.scenario import OwnTownScenario, Workspace, start_town
from tests.patience import PATIENCE_S

_LONGEST_S = 10.0
_TYPED = "Un trou profond devant l’école."


async def run(workspace: Workspace, full: bool) -> Verdict:
    rounds, at_once = (5, 10) if full else (1, 3)
    verdict, waits_s, references = Verdict(), list[float](), set[str]()
    with start_town(replace(workspace, has_own_database=True), ["ingest-web"]) as (stack, _log):
        async with Citizens(stack) as citizens:
            forms = [await citizens.open_form("road-report") for _ in range(at_once)]

            async def send(number: int) -> None:
                began = time.monotonic()
                answer = await forms[number].send(FORM | {"details": f"{_TYPED} Numéro {number}."})
                waits_s.append(time.monotonic() - began)
                verdict.expect(
                    answer.status_code == 503, f"while PostgreSQL stood still a form got {answer.status_code}"
                )
                verdict.expect(_TYPED in answer.text, "the page lost the typed text")

            with _frozen_postgres(stack):
                for _ in range(rounds):
                    await asyncio.gather(*map(send, range(at_once)))
            await asyncio.to_thread(stack.wait_ready, "ingest-web", seconds=PATIENCE_S)
            for number, form in enumerate(forms):
                answer = await form.send(FORM | {"details": f"{_TYPED} Numéro {number}."})
                verdict.expect(answer.status_code == 303, f"after the fault a form got {answer.status_code}")
                references.add(answer.headers.get("location", ""))
        arrived = await _wait_for_contacts(stack, at_once)
    verdict.expect(
        len(references) == arrived == at_once, f"{at_once} forms made {len(references)} references, {arrived} contacts"
    )
    verdict.expect_within(max(waits_s), _LONGEST_S, "a form waited", full=full)
    verdict.figures |= {"forms refused": len(waits_s), "longest wait ms": int(max(waits_s) * 1000), "contacts": arrived}
    return verdict


@contextmanager
def _frozen_postgres(stack: Stack) -> Generator[None]:
    """Its backends have sessions of their own, so a signal to its group would stop the postmaster alone."""
    postmaster = psutil.Process(stack.pid("postgres"))
    stopped = [postmaster, *postmaster.children(recursive=True)]
    for process in stopped:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in stopped:
            process.send_signal(signal.SIGCONT)


async def _wait_for_contacts(stack: Stack, count: int) -> int:
    """Wait until so many contacts have left the outbox. Gives how many there are."""
    ends_at = time.monotonic() + PATIENCE_S
    while True:
        arrived = len({received.event_id for received in (await read_state(stack)).received})
        if arrived >= count or time.monotonic() > ends_at:
            return arrived
        await asyncio.sleep(0.2)


SCENARIO = OwnTownScenario(
    "F-60",
    "`SIGSTOP` of PostgreSQL while ten citizens send forms, five times; then it goes on",
    "503 with the typed text within 10 s; then each form is accepted and is one contact; I4",
    run,
)
