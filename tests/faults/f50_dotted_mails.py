"""F-50: mails whose lines end with a dot or begin with one, several at once, as a mail server hands them on."""

import asyncio
import itertools

from tests.faults.attacker_process import start_attacker
from tests.faults.door_testbed import DoorScenario, DoorTestbed
from tests.faults.oracle import Verdict
from tests.faults.smtp_client import SmtpAnswers, build_mail, connect

_NUMBERS = itertools.count(50_000)
_DOTTED = (b"a.\r\n", b".\r\n", b"a\r\n..\r\n", b"\r.\r\n")
"""Lines as they are in the mail, before the client doubles the dots at their beginning."""


async def run(testbed: DoorTestbed, full: bool) -> Verdict:
    verdict, (size_bytes, rounds) = Verdict(), (36 * 1024 * 1024, 3) if full else (1024 * 1024, 1)
    async with start_attacker(_send_rounds) as attacker, testbed.served_citizens() as served:
        answers = await attacker.run(_send_rounds, testbed.port("ingest-email.smtp"), size_bytes, rounds)
    testbed.mail_ids |= answers.ids
    verdict.expect(set(answers.codes) == {250}, f"the mails with dots got {answers.codes}")
    verdict.figures |= {"mails with dots": answers.codes.total(), "the longest ms": int(max(answers.waits_s) * 1000)}
    served.check(verdict, full=full)
    testbed.check_memory(verdict, "ingest-email", most_mb=700, full=full)
    await testbed.settle_and_check(verdict)
    return verdict


async def _send_rounds(port: int, size_bytes: int, rounds: int) -> SmtpAnswers:
    answers = SmtpAnswers()
    for _ in range(rounds):
        await asyncio.gather(*(asyncio.to_thread(_send, port, answers, line, size_bytes) for line in _DOTTED))
    return answers


def _send(port: int, answers: SmtpAnswers, line: bytes, size_bytes: int) -> None:
    content = build_mail(next(_NUMBERS)) + line * (size_bytes // len(line))
    with connect(port) as client:
        answers.send(client, "robot@dots.example", content)


SCENARIO = DoorScenario(
    "F-50",
    "mails of 36 MB whose lines end with a dot, are dots, or begin with dots, four at once, three times",
    "250; memory bounded; others are served; I1 I4",
    run,
)
