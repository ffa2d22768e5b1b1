"""F-51: a flood of forms and mails from few sources asks for SMS and letters, beside honest citizens."""

import asyncio
import smtplib

import httpx

from parvis.local.citizen_client import WebForm
from tests.faults.oracle import Verdict
from tests.faults.outsider_town import SOURCE_LETTERS, SOURCE_SEGMENTS, OutsiderScenario, OutsiderTown
from tests.faults.smtp_client import RECIPIENT
from tests.patience import PATIENCE_S

_ABROAD = ("+5351234567", "+25261234567", "+870773111632", "+881612345678", "+33899123456", "+447012345678")
_PER_SOURCE = 12
_ASKED_AT_HOME = _PER_SOURCE // 3 + _PER_SOURCE // 2  # SMS to telephones of the country, by forms and mails of a source
_MOST_OF_ONE_SOURCE = """
    select max(segments) as segments, max(letters) as letters from (
        select sum(segments) as segments, sum(letters) as letters from notifier.source_tally
        where source in (select request -> 'sources' ->> 0 from notifier.reply) group by source
    ) as of_source
"""
_SMS_SENT = "channel = 'sms' and attempt > 0"
_LETTERS_SENT = "channel = 'post' and attempt > 0"


async def run(town: OutsiderTown, full: bool) -> Verdict:
    verdict, sources = Verdict(), 20 if full else 2
    before = await town.count_contacts()
    async with asyncio.TaskGroup() as group:
        floods = [group.create_task(_flood_with_forms(town, source)) for source in range(sources)]
        for source in range(sources):
            group.create_task(asyncio.to_thread(_flood_with_mails, town.stack.port("ingest-email.smtp"), source))
        honest = [group.create_task(_write_honestly(town, number)) for number in range(sources)]
    expected = before + sum(flood.result() for flood in floods) + sources * (_PER_SOURCE + 2)
    await town.wait_until(town.count_contacts, lambda count: count >= expected)
    for number, task in enumerate(honest):
        await town.wait_until(lambda: town.citizens.messages_to(task.result()))  # noqa: B023 (awaited here)
        await town.wait_until(lambda: _count(town, _LETTERS_SENT, f"%{number} rue des Honnêtes%"))  # noqa: B023
    await town.wait_until(
        lambda: _count(town, "state in ('planned', 'reserved') and send_at < now() + interval '30 s'"), _is_none
    )
    await _check_costs(town, verdict, sources)
    return verdict


async def _check_costs(town: OutsiderTown, verdict: Verdict, sources: int) -> None:
    abroad = [number for number in _ABROAD if await town.citizens.messages_to(number)]
    texts = await _count(town, _SMS_SENT, "+33639980%") + await _count(town, _SMS_SENT, "+33639982%")
    letters = await _count(town, _LETTERS_SENT, "%rue des Inconnus%")
    (most,) = await town.rows(_MOST_OF_ONE_SOURCE)
    verdict.figures |= {"SMS to the flood": texts, "letters to the flood": letters}
    verdict.figures |= {"segments of one source": most.segments, "letters of one source": most.letters}
    verdict.expect(not abroad, f"SMS went to {len(abroad)} numbers abroad or at a premium")
    verdict.expect(most.segments <= SOURCE_SEGMENTS, f"one source cost {most.segments} segments")
    verdict.expect(most.letters <= SOURCE_LETTERS, f"one source cost {most.letters} letters")
    verdict.expect(0 < texts < _ASKED_AT_HOME * sources, f"{texts} of {_ASKED_AT_HOME * sources} SMS were sent")
    verdict.expect(letters <= SOURCE_LETTERS * sources, f"{letters} letters were printed for {sources} networks")


def _is_none(count: int) -> bool:
    return count == 0


async def _count(town: OutsiderTown, condition: str, address: str = "%") -> int:
    query = f"select count(*) as number from notifier.delivery where {condition} and address like :address"  # noqa: S608
    return (await town.rows(query, address=address))[0].number


async def _flood_with_forms(town: OutsiderTown, source: int) -> int:
    """Give the number of accepted forms. A third of the forms names numbers abroad or at a premium, a third telephones of the country, a third postal addresses."""
    accepted = 0
    async with _browser(f"203.0.{source}.9") as http:
        for number in range(_PER_SOURCE):
            wishes = (
                {"reply-channel": "sms", "reply-sms": _ABROAD[number // 3 % len(_ABROAD)]},
                {"reply-channel": "sms", "reply-sms": f"+3363998{source * 50 + number:04}"},
                {"reply-channel": "post", "reply-post": f"A. Nonyme\n{source}{number} rue des Inconnus\n65000 Exemple"},
            )
            accepted += await _send_form(town, http, wishes[number % 3])
    return accepted


def _flood_with_mails(port: int, source: int) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=PATIENCE_S) as client:
        client.ehlo("mx.example")
        client.docmd("XFORWARD", f"ADDR=198.51.{source}.9")
        for number in range(_PER_SOURCE):
            to = _ABROAD[number % len(_ABROAD)] if number % 2 else f"+3363998{2000 + source * 50 + number:04}"
            head = (
                f"From: {number}@flood-{source}.example\r\nTo: {RECIPIENT}\r\nSubject: Question {source} {number}\r\n"
            )
            content = f"{head}Content-Type: text/plain; charset=utf-8\r\n\r\nRépondez-moi par SMS au {to}.\r\n"
            client.sendmail(f"{number}@flood-{source}.example", [RECIPIENT], content.encode())


async def _write_honestly(town: OutsiderTown, number: int) -> str:
    """Ask for an SMS, and for a letter, from home. Gives the telephone's number."""
    telephone = f"+3363998{7000 + number:04}"
    async with _browser(f"192.0.{number}.7") as http:
        await _send_form(town, http, {"reply-channel": "sms", "reply-sms": telephone})
        await _send_form(
            town, http, {"reply-channel": "post", "reply-post": f"B. Exemple\n{number} rue des Honnêtes\n65000 Exemple"}
        )
    return telephone


def _browser(client: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(headers={"X-Forwarded-For": client}, timeout=PATIENCE_S)


async def _send_form(town: OutsiderTown, http: httpx.AsyncClient, wish: dict[str, str]) -> bool:
    """Send a form. False if the town refuses it, such as one with a number that gets no SMS."""
    url = f"{town.stack.url('ingest-web')}/demarches/general-question"
    form = WebForm(http, url, (await http.get(url)).text)
    answer = await form.send({"message": "Bonjour, une question sans rapport avec rien."} | wish)
    return answer.status_code == 303


SCENARIO = OutsiderScenario(
    "F-51",
    "20 networks send forms, and 20 clients mails, that ask for SMS abroad, to premium numbers and at home, and for letters, beside honest citizens",
    "no SMS abroad or at a premium; at most its own allowance because of each source; every honest citizen gets the notice",
    run,
)
