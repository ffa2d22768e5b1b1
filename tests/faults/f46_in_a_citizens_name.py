"""F-46: attackers write in citizens' names, by mail and by SMS, and ask for the answers at an address of their own."""

import asyncio
import smtplib
from collections.abc import Mapping, Sequence
from typing import Any

from tests.faults.oracle import Verdict
from tests.faults.outsider_town import OutsiderScenario, OutsiderTown
from tests.faults.smtp_client import RECIPIENT
from tests.patience import PATIENCE_S

_SUBJECT = "Acte de naissance"
_REQUEST = "Bonjour, il me faut un acte de naissance."
_WISH = "Répondez-moi par mail à {pirate}"


async def run(town: OutsiderTown, full: bool) -> Verdict:
    verdict = Verdict()
    for number in range(20 if full else 1):
        await _attack_by_mail(town, verdict, number)
        await _attack_by_text(town, verdict, number)
    verdict.figures["citizens in whose name attackers wrote"] = 40 if full else 2
    return verdict


async def _attack_by_mail(town: OutsiderTown, verdict: Verdict, number: int) -> None:
    """The attacker knows the citizen's address and subject, and the Message-ID of their mail."""
    victim, pirate = f"victime-{number}@citizens.example", f"pirate-{number}@evil.example"
    own = f"<f46-{number}@citizens.example>"
    await town.citizens.mail(victim, _SUBJECT, _REQUEST, message_id=own)
    case, department = await town.case_of(victim)
    before = await town.count_contacts()
    forged = {"From": victim, "Reply-To": pirate, "To": RECIPIENT, "Subject": f"Re: {_SUBJECT}", "In-Reply-To": own}
    await asyncio.to_thread(_send, town.stack.port("ingest-email.smtp"), pirate, forged, _WISH.format(pirate=pirate))
    await town.wait_until(town.count_contacts, lambda count: count > before)
    await _answer_and_check(town, verdict, (case, department), pirate, lambda: town.citizens.mails_to(victim))


async def _attack_by_text(town: OutsiderTown, verdict: Verdict, number: int) -> None:
    """The attacker's message has the citizen's number as its sender, as any gateway can forge it."""
    victim, pirate = f"+33639981{number:03}", f"pirate-texto-{number}@evil.example"
    await town.citizens.text(victim, _REQUEST)
    case, department = await town.case_of(victim)
    await town.citizens.text(victim, _WISH.format(pirate=pirate))
    await town.wait_until(lambda: town.count_contacts(case), lambda count: count == 2)
    verdict.expect(pirate in await town.case_page(case, department), "the agent does not see the wish")
    await _answer_and_check(town, verdict, (case, department), pirate, lambda: town.citizens.messages_to(victim))


async def _answer_and_check(
    town: OutsiderTown, verdict: Verdict, case: tuple[str, str], pirate: str, read: Any
) -> None:
    """The answer reaches the citizen, and nothing of their conversation is sent to the attacker."""
    answer = f"Votre acte est prêt, dossier {case[0][:8]}."
    await town.agents.answer(*case, answer)
    await town.wait_until(read, lambda messages: _holds(messages, answer))
    query = "select 1 from notifier.delivery where conversation_id = :case and address = :pirate"
    verdict.expect(not await town.rows(query, case=case[0], pirate=pirate), "the attacker got a message of the case")
    verdict.expect(not _holds(await town.citizens.mails_to(pirate), answer), "the attacker has the answer")


def _holds(messages: Sequence[Mapping[str, str]], answer: str) -> bool:
    return any(answer in (message.get("body") or message.get("text") or "") for message in messages)


def _send(port: int, envelope: str, fields: Mapping[str, str], text: str) -> None:
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    with smtplib.SMTP("127.0.0.1", port, timeout=PATIENCE_S) as client:
        content = f"{head}Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
        client.sendmail(envelope, [RECIPIENT], content.encode())


SCENARIO = OutsiderScenario(
    "F-46",
    "mails and SMS in the name of 40 citizens who have a case ask for the answer at another address",
    "the answer reaches the citizen; nothing of the case is sent to the other address; the agent sees the wish",
    run,
)
