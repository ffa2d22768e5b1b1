"""F-48: more SMTP connections than one client, and then than all, may hold; and SIGTERM while connections are open."""

import asyncio
import smtplib
from contextlib import suppress

from tests.faults.attacker_process import start_attacker
from tests.faults.door_testbed import DoorScenario, DoorTestbed
from tests.faults.oracle import Verdict
from tests.faults.outsider import OUTSIDER, hold_connections
from tests.faults.smtp_client import RECIPIENT, SENDER, SmtpAnswers, build_mail, connect
from tests.patience import PATIENCE_S

_OF_A_CLIENT, _OF_ALL = 50, 200  # the settings' defaults
_ADDRESSES = tuple(f"127.0.0.{number}" for number in range(71, 75))


async def run(testbed: DoorTestbed, full: bool) -> Verdict:
    verdict, port, further = Verdict(), testbed.port("ingest-email.smtp"), 500 if full else 10
    async with start_attacker(_connect_again_and_again) as attacker, testbed.served_citizens() as served:
        got = await attacker.run(_connect_again_and_again, port, _OF_A_CLIENT + further)
    verdict.expect(got == {220: _OF_A_CLIENT, 421: further}, f"one client got {got}")
    served.check(verdict, full=full)
    async with hold_connections(port, _OF_A_CLIENT, addresses=_ADDRESSES) as held:
        await held.wait_for_answers(_OF_ALL)
        verdict.expect(held.statuses == {220: _OF_ALL}, f"four clients got {held.statuses}")
        async with hold_connections(port, further, addresses=(OUTSIDER, "127.0.0.1")) as more:
            await more.wait_for_answers(2 * further)
            verdict.expect(more.statuses == {421: 2 * further}, f"when all were taken, others got {more.statuses}")
    await _stop_and_start(testbed, verdict, full=full)
    await testbed.settle_and_check(verdict)
    return verdict


async def _connect_again_and_again(port: int, count: int) -> dict[int, int]:
    """Open so many connections of one client. Gives how many got which code."""
    async with hold_connections(port, count) as held:
        await held.wait_for_answers(count)
        return dict(held.statuses)


async def _stop_and_start(testbed: DoorTestbed, verdict: Verdict, *, full: bool) -> None:
    """SIGTERM: idle connections hear 421 at once, and a mail under way has its answer."""
    port, answers = testbed.port("ingest-email.smtp"), SmtpAnswers()
    await _wait_until_greeted(port)
    with connect(port) as client:
        async with hold_connections(port, 20) as held:
            await held.wait_for_answers(20)
            await asyncio.to_thread(_begin_data, client)
            stopping = asyncio.create_task(asyncio.to_thread(testbed.stack.stop_process, "ingest-email"))
            await held.wait_for_ends(20)
            verdict.expect(held.later == {421: 20}, f"at SIGTERM idle connections heard {held.later}")
            code, reply = await asyncio.to_thread(_end_data, client)
            answers.note(code, reply)
            await stopping
    verdict.expect(set(answers.codes) == {250}, f"at SIGTERM the mail under way got {answers.codes}")
    testbed.mail_ids |= answers.ids
    await asyncio.to_thread(testbed.stack.start_again, "ingest-email", seconds=PATIENCE_S)
    async with testbed.served_citizens() as served:
        pass
    served.check(verdict, full=full)


async def _wait_until_greeted(port: int) -> None:
    """Wait until the connections that were closed before no longer count."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with suppress(smtplib.SMTPConnectError), connect(port):
                return
            await asyncio.sleep(0.1)


def _begin_data(client: smtplib.SMTP) -> None:
    client.mail(SENDER)
    client.rcpt(RECIPIENT)
    client.docmd("DATA")


def _end_data(client: smtplib.SMTP) -> tuple[int, bytes]:
    client.send(build_mail(48_000) + b".\r\n")
    return client.getreply()


SCENARIO = DoorScenario(
    "F-48",
    "550 SMTP connections of one client, then 200 of four and 1,000 of others; SIGTERM while 20 are idle and one sends a mail",
    "50 and 200 are greeted, the others get 421; at SIGTERM the idle ones get 421 and the mail 250; others are served; I1 I4",
    run,
)
