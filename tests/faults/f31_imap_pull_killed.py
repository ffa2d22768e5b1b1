"""F-31: ingest-email is killed between the steps of an IMAP pull; the mailbox changes its UIDVALIDITY; IDLE is dropped."""

import asyncio
from collections import Counter
from collections.abc import Callable

from parvis.ingest_email.parse.message_identity import identify_message
from parvis.local.stack import Stack
from tests.faults.oracle import Verdict, read_state
from tests.faults.scenario import OwnTownScenario, Workspace, start_town, start_with_fault, wait_for_exit
from tests.faults.smtp_client import RECIPIENT, build_mail
from tests.mail import dovecot
from tests.mail.dovecot import MailHost, mail_host
from tests.patience import PATIENCE_S

POINTS = ("raw-store", "ack", "advance", "move")


async def run(workspace: Workspace, full: bool) -> Verdict:
    verdict, mails = Verdict(), DeliveredMails()
    each = 20 if full else 2
    rounds = 3 if full else 1
    with (
        mail_host() as host,
        start_town(workspace, ["ingest-email"], outside=False, **_settings(host)) as (stack, _log),
    ):
        for _ in range(rounds):
            await asyncio.to_thread(stack.stop_process, "ingest-email")
            for point in POINTS:
                await asyncio.to_thread(host.deliver, *mails.deliver_more(each))
                process = start_with_fault(stack, "ingest-email", f"die-after-{point}")
                verdict.expect(
                    await wait_for_exit(process, seconds=PATIENCE_S), f"the process was not killed after {point}"
                )
            await asyncio.to_thread(host.reset_uidvalidity)  # it holds one mail that is already a contact
            await asyncio.to_thread(stack.start_again, "ingest-email")
            await _wait_until(lambda: host.count() == 0)
            verdict.expect(host.drop_connections() > 0, "there was no connection to drop")
            await asyncio.to_thread(host.deliver, *mails.deliver_more(each))
            await _wait_until(lambda: host.count() == 0)
        await _check_expectations(verdict, stack, host, mails)
    return verdict


def _settings(host: MailHost) -> dict[str, str]:
    return {
        "PARVIS_INGEST_EMAIL_IMAP_URL": host.url,
        "PARVIS_INGEST_EMAIL_IMAP_PASSWORD": dovecot.PASSWORD,
    }


class DeliveredMails:
    """All mails delivered so far."""

    def __init__(self) -> None:
        self.all: list[bytes] = []

    def deliver_more(self, count: int) -> list[bytes]:
        new = [build_mail(len(self.all) + number) for number in range(count)]
        self.all += new
        return new


async def _wait_until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.1)


async def _check_expectations(verdict: Verdict, stack: Stack, host: MailHost, mails: DeliveredMails) -> None:
    """Check that each mail is exactly one contact id in Kafka and was moved to its folder."""
    arrived = Counter(received.event_id for received in (await read_state(stack)).received)
    written = {str(identify_message(mail).contact_id(RECIPIENT)) for mail in mails.all}
    verdict.expect(len(written) == len(mails.all), "two mails of this scenario have the same identity")
    verdict.expect(not (written - arrived.keys()), f"{len(written - arrived.keys())} mails never became a contact")
    verdict.expect(not (arrived.keys() - written), f"{len(arrived.keys() - written)} contacts without a mail")
    verdict.expect(
        host.count("Traités") == len(mails.all), f"{host.count('Traités')} of {len(mails.all)} mails were moved"
    )
    verdict.figures |= {"mails": len(mails.all), "contacts": len(arrived)}
    verdict.figures["records twice, same id"] = sum(arrived.values()) - len(arrived)


SCENARIO = OwnTownScenario(
    "F-31",
    "kill -9 after the raw store, acknowledgement, position and move of a mail pulled by IMAP; another UIDVALIDITY; a dropped IDLE",
    "each mail has exactly one contact id; I1 I4",
    run,
    missing_requirement=dovecot.missing,
)
