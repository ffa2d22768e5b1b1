"""F-31: killed between any two steps by which a mail leaves a hosted mailbox; the mailbox made anew; its connection dropped."""

import asyncio
from collections import Counter
from collections.abc import Callable

from parvis.ingest_email.parse.message_identity import identify_message
from parvis.local.stack import Stack
from tests.faults.mail import RECIPIENT, a_mail
from tests.faults.oracle import Verdict, look
from tests.faults.scenario import Place, Scenario, sabotaged, town, until_ended
from tests.mail import dovecot
from tests.mail.dovecot import MailHost, mail_host
from tests.patience import PATIENCE_S

POINTS = ("raw-store", "ack", "advance", "move")


async def run(place: Place, full: bool) -> Verdict:
    verdict, mails = Verdict(), Mails()
    each = 20 if full else 2
    rounds = 3 if full else 1
    with mail_host() as host, town(place, ["ingest-email"], outside=False, **_settings(host)) as (stack, _log):
        for _ in range(rounds):
            await asyncio.to_thread(stack.stop_process, "ingest-email")
            for point in POINTS:
                await asyncio.to_thread(host.deliver, *mails.more(each))
                process = sabotaged(stack, "ingest-email", f"die-after-{point}")
                verdict.expect(await until_ended(process, seconds=PATIENCE_S), f"nobody was killed after {point}")
            await asyncio.to_thread(host.make_anew)  # one mail lies there that is already a contact
            await asyncio.to_thread(stack.start_again, "ingest-email")
            await _until(lambda: host.count() == 0)
            verdict.expect(host.drop_connections() > 0, "there was no connection to drop")
            await asyncio.to_thread(host.deliver, *mails.more(each))
            await _until(lambda: host.count() == 0)
        await _hold(verdict, stack, host, mails)
    return verdict


def _settings(host: MailHost) -> dict[str, str]:
    return {
        "PARVIS_INGEST_EMAIL_IMAP_URL": host.url,
        "PARVIS_INGEST_EMAIL_IMAP_PASSWORD": dovecot.PASSWORD,
    }


class Mails:
    """Every mail that was ever delivered."""

    def __init__(self) -> None:
        self.all: list[bytes] = []

    def more(self, count: int) -> list[bytes]:
        new = [a_mail(len(self.all) + number) for number in range(count)]
        self.all += new
        return new


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await asyncio.to_thread(true):
            await asyncio.sleep(0.1)


async def _hold(verdict: Verdict, stack: Stack, host: MailHost, mails: Mails) -> None:
    """Each mail is exactly one contact id in Kafka, and lies where it belongs."""
    arrived = Counter(received.event_id for received in (await look(stack)).received)
    written = {str(identify_message(mail).contact_id(RECIPIENT)) for mail in mails.all}
    verdict.expect(len(written) == len(mails.all), "two mails of this scenario are one")
    verdict.expect(not (written - arrived.keys()), f"{len(written - arrived.keys())} mails never became a contact")
    verdict.expect(not (arrived.keys() - written), f"{len(arrived.keys() - written)} contacts nobody wrote")
    verdict.expect(
        host.count("Traités") == len(mails.all), f"{host.count('Traités')} of {len(mails.all)} mails are put away"
    )
    verdict.figures |= {"mails": len(mails.all), "contacts": len(arrived)}
    verdict.figures["records twice, same id"] = sum(arrived.values()) - len(arrived)


SCENARIO = Scenario(
    "F-31",
    "kill -9 after raw-store, ack, advance, move of a mail pulled by IMAP; another UIDVALIDITY; a dropped IDLE",
    "each mail exactly one contact id; I1 I4",
    run,
    missing=dovecot.missing,
)
