"""F-45: mails of hundreds of senders join one conversation, each with addresses of 250 characters; an agent answers it."""

import asyncio
import smtplib

from parvis.common.bus.topic_reader import read_all_records
from parvis.common.contract.topics import REPLY_REQUESTED
from tests.faults.oracle import Verdict
from tests.faults.outsider_town import OutsiderScenario, OutsiderTown
from tests.faults.smtp_client import RECIPIENT
from tests.patience import PATIENCE_S

_OPENER, _SUBJECT = "ouverture@citizens.example", "Demande d’acte de naissance"
_ANSWER = "Votre acte est prêt."
_MOST_BYTES = 32 * 1024  # of an event: eight addresses, the text and the rest


async def run(town: OutsiderTown, full: bool) -> Verdict:
    verdict, number = Verdict(), 1_000 if full else 120
    pid = town.stack.pid("desk")
    await town.citizens.mail(_OPENER, _SUBJECT, "Un acte de naissance, svp.", message_id="<f45@citizens.example>")
    (notice,) = await town.wait_until(lambda: town.citizens.mails_to(_OPENER), lambda mails: len(mails) == 1)
    await asyncio.to_thread(_join, town.stack.port("ingest-email.smtp"), str(notice["message_id"]), number)
    case, department = await town.case_of(_OPENER)
    joined = await town.wait_until(lambda: town.count_contacts(case), lambda count: count > number)
    await town.agents.answer(case, department, _ANSWER)
    mails = await town.wait_until(lambda: town.citizens.mails_to(_OPENER), lambda mails: len(mails) > 1)
    largest = await _largest_reply(town)
    verdict.expect(any(_ANSWER in mail["text"] for mail in mails), "the answer did not reach the opener")
    verdict.expect(joined > number, f"only {joined} contacts are in the conversation")
    verdict.expect(largest <= _MOST_BYTES, f"an event has {largest} bytes")
    verdict.expect(town.stack.pid("desk") == pid, "the desk was started again")
    verdict.figures |= {"contacts in one conversation": joined, "largest event, bytes": largest}
    return verdict


def _join(port: int, message_id: str, number: int) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=PATIENCE_S) as client:
        for each in range(number):
            long = f"{'a' * 60}@{'.'.join(['b' * 60] * 3)}"
            fields = {
                "From": f"{each}.{long}.example", "Reply-To": f"r{each}.{long}.example", "To": RECIPIENT, "Subject": _SUBJECT,
                "In-Reply-To": message_id, "Message-ID": f"<f45-{each}@flood.example>",
            }  # fmt: skip
            head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
            client.sendmail("flood@flood.example", [RECIPIENT], f"{head}\r\nMoi aussi.\r\n".encode())


async def _largest_reply(town: OutsiderTown) -> int:
    topic = REPLY_REQUESTED.full_name(town.stack.plan.topic_prefix)
    return max([len(received.value or b"") async for received in read_all_records(town.stack.kafka, [topic])])


SCENARIO = OutsiderScenario(
    "F-45",
    "1,000 mails from as many addresses join one conversation, each with a Reply-To of its own; then an agent answers",
    "the answer reaches whoever opened it; its event is bounded; the desk is not started again",
    run,
)
