"""F-30: an unexpected exception is raised while a mail is accepted."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager

from parvis.local.free_ports import FreePorts
from parvis.local.readiness import listens
from parvis.local.stack import Stack
from tests.faults.injected_faults import SECRET
from tests.faults.oracle import Verdict, read_state
from tests.faults.scenario import OwnTownScenario, Workspace, start_town, start_with_fault, wait_for_exit
from tests.faults.smtp_client import build_mail, send_mail
from tests.patience import PATIENCE_S


async def run(workspace: Workspace, full: bool) -> Verdict:
    mails = 200 if full else 10
    verdict = Verdict()
    with start_town(workspace, ["ingest-email"]) as (stack, _log), _ports() as (smtp, lmtp):
        process = start_with_fault(
            stack, "ingest-email", "fail-while-parsing",
            PARVIS_INGEST_EMAIL_PORT="0", PARVIS_INGEST_EMAIL_SMTP_PORT=str(smtp), PARVIS_INGEST_EMAIL_LMTP_PORT=str(lmtp),
        )  # fmt: skip
        try:
            await _wait_until_listening(smtp, lmtp)
            answers = [await asyncio.to_thread(send_mail, smtp, build_mail(number)) for number in range(mails)]
            answers += [
                await asyncio.to_thread(send_mail, lmtp, build_mail(number), lmtp=True) for number in range(mails)
            ]
        finally:
            process.terminate()
            has_ended = await wait_for_exit(process, seconds=10 if full else PATIENCE_S)
            verdict.expect(has_ended, "ingest-email did not stop by itself")
        codes = {code for code, _ in answers}
        verdict.expect(codes == {451}, f"the senders got {sorted(codes)}, not 451")
        verdict.expect(not any(SECRET in text for _, text in answers), "the error's text reached the sender")
        verdict.expect(not (await read_state(stack)).received, "a refused mail is in Kafka")
        await _check_retry(stack, verdict)
    verdict.figures["mails refused"] = len(answers)
    return verdict


@contextmanager
def _ports() -> Generator[tuple[int, int]]:
    free = FreePorts()
    try:
        yield free.take(), free.take()
    finally:
        free.release()


async def _wait_until_listening(*ports: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not all(listens(port) for port in ports):
            await asyncio.sleep(0.1)


async def _check_retry(stack: Stack, verdict: Verdict) -> None:
    """Retry a mail at a service without the fault."""
    code, _ = await asyncio.to_thread(send_mail, stack.port("ingest-email.smtp"), build_mail(0))
    verdict.expect(code == 250, f"the retry got {code}")
    verdict.expect(len((await read_state(stack)).received) == 1, "the retry did not make one contact")


SCENARIO = OwnTownScenario(
    "F-30", "an unexpected exception while a mail is accepted", "451, not 500; no text leaks; I4", run
)
