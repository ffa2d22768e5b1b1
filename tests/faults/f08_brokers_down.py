"""F-08: Kafka is down while citizens keep writing (503, 451, outbox); it returns, and the senders retry."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import TypeVar

import aiohttp

from parvis.local.citizen_client import Citizens
from parvis.local.stack import Stack
from tests.faults.oracle import SystemState, Verdict, read_state
from tests.faults.scenario import OwnTownScenario, Workspace, settle_and_check, start_town
from tests.faults.sms_load import SmsLoad, http_client
from tests.faults.smtp_client import build_mail, send_mail
from tests.patience import PATIENCE_S

Answer = TypeVar("Answer")
DOORS = ("ingest-sms", "ingest-email", "ingest-web")
FORM = {"your-name": "", "reply-channel": "none"}
LONGEST_WAIT_S = 12.0  # Twilio times out after 15 s; mail servers and people wait longer


@dataclass
class AnswersDuringOutage:
    """The answers that senders got while Kafka was down, and how long each waited."""

    sms: list[str] = field(default_factory=list[str])
    mail: list[int] = field(default_factory=list[int])
    web: list[int] = field(default_factory=list[int])
    waited_s: list[float] = field(default_factory=list[float])

    async def time(self, work: Awaitable[Answer]) -> Answer:
        began = time.monotonic()
        try:
            return await work
        finally:
            self.waited_s.append(time.monotonic() - began)


async def run(workspace: Workspace, full: bool) -> Verdict:
    verdict, answers = Verdict(), AnswersDuringOutage()
    with start_town(workspace, [*DOORS, "router"]) as (stack, log):
        async with http_client() as client, Citizens(stack) as citizens:
            messages = SmsLoad(stack, log, senders=20)
            await messages.post_webhook(client, _sid(0), 0)
            await asyncio.to_thread(stack.kill, "kafka", stays_down=True)
            rounds = await _send_rounds(stack, client, citizens, messages, answers, seconds=120 if full else 4)
            await _check_stop(stack, verdict, full=full)
            await asyncio.to_thread(stack.start_again, "kafka")
            await asyncio.to_thread(stack.start_again, "ingest-sms")
            await _send_again(stack, client, messages, rounds)
            await _wait_for_contacts(stack, 1 + 3 * rounds)
        state = await settle_and_check(stack, log, verdict)
    _check_expectations(verdict, answers, state, rounds, full=full)
    return verdict


def _sid(number: int) -> str:
    return f"SM{number:032x}"


async def _send_rounds(
    stack: Stack,
    client: aiohttp.ClientSession,
    citizens: Citizens,
    messages: SmsLoad,
    answers: AnswersDuringOutage,
    *,
    seconds: float,
) -> int:
    """Send one SMS, one mail and one form a round, in parallel, until the time is up. Gives the number of rounds."""
    ends_at, rounds = time.monotonic() + seconds, 0
    while time.monotonic() < ends_at:
        rounds += 1
        form = await citizens.open_form("general-question")
        form_fields = FORM | {"message": f"Où se trouve le marché numéro {rounds} ?"}
        sms, mail, web = await asyncio.gather(
            answers.time(messages.post_webhook(client, _sid(rounds), rounds)),
            answers.time(asyncio.to_thread(send_mail, stack.port("ingest-email.smtp"), build_mail(rounds))),
            answers.time(form.send(form_fields)),
        )
        answers.sms.append(sms.outcome)
        answers.mail.append(mail[0])
        answers.web.append(web.status_code)
    return rounds


async def _check_stop(stack: Stack, verdict: Verdict, *, full: bool) -> None:
    """SIGTERM while Kafka is away: aiokafka's own stop() would never return (#1101)."""
    began = time.monotonic()
    await asyncio.to_thread(stack.stop_process, "ingest-sms")
    took_s = time.monotonic() - began
    verdict.figures["stop ms"] = int(took_s * 1000)
    verdict.expect_within(took_s, 10, "ingest-sms needed to stop", full=full)


async def _send_again(stack: Stack, client: aiohttp.ClientSession, messages: SmsLoad, rounds: int) -> None:
    """Retry every refused message under the same id."""
    for number in range(1, rounds + 1):
        async with asyncio.timeout(PATIENCE_S):
            while (await messages.post_webhook(client, _sid(number), number)).outcome != "ok":
                await asyncio.sleep(0.5)
            while (await asyncio.to_thread(send_mail, stack.port("ingest-email.smtp"), build_mail(number)))[0] != 250:
                await asyncio.sleep(0.5)


async def _wait_for_contacts(stack: Stack, contacts: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while len({received.event_id for received in (await read_state(stack)).received}) < contacts:
            await asyncio.sleep(0.3)


def _check_expectations(
    verdict: Verdict, answers: AnswersDuringOutage, state: SystemState, rounds: int, *, full: bool
) -> None:
    verdict.expect(set(answers.sms) == {"fail"}, f"SMS got {set(answers.sms)} while Kafka was down")
    verdict.expect(set(answers.mail) == {451}, f"mails got {set(answers.mail)}, not 451")
    verdict.expect(set(answers.web) == {303}, f"forms got {set(answers.web)}, not 303")
    verdict.expect_within(max(answers.waited_s), LONGEST_WAIT_S, "a sender waited", full=full)
    arrived = Counter(received.event_id for received in state.received)
    verdict.expect(
        len(arrived) == 1 + 3 * rounds, f"{1 + 3 * rounds} messages were sent, but {len(arrived)} contacts arrived"
    )
    verdict.figures |= {"refused sms": rounds, "refused mails": rounds, "forms in the outbox": rounds}
    verdict.figures["longest wait ms"] = int(max(answers.waited_s) * 1000)


SCENARIO = OwnTownScenario(
    "F-08",
    "all brokers down for 120 s while SMS, mails and forms arrive",
    "503, 451, 303 in time; I1 I4 I7",
    run,
    needs_own_brokers=True,
)
