"""F-08: Kafka is down while citizens go on writing: 503, 451, the outbox; it comes back, and they try again."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import TypeVar

import aiohttp

from parvis.local.citizen_client import Citizens
from parvis.local.stack import Stack
from tests.faults.load import TextMessages, web_client
from tests.faults.mail import a_mail, send
from tests.faults.oracle import Verdict, World, look
from tests.faults.scenario import Place, Scenario, healed, town
from tests.patience import PATIENCE_S

Answer = TypeVar("Answer")
DOORS = ("ingest-sms", "ingest-email", "ingest-web")
FORM = {"your-name": "", "reply-channel": "none"}
LONGEST_WAIT_S = 12.0  # Twilio gives up after 15 s; a mail server and a person wait longer


@dataclass
class Told:
    """What the senders were told while Kafka was down, and how long each waited."""

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


async def run(place: Place, full: bool) -> Verdict:
    verdict, told = Verdict(), Told()
    with town(place, [*DOORS, "router"]) as (stack, log):
        async with web_client() as client, Citizens(stack) as citizens:
            messages = TextMessages(stack, log, senders=20)
            await messages.deliver(client, _sid(0), 0)
            await asyncio.to_thread(stack.kill, "kafka", stays_down=True)
            rounds = await _write(stack, client, citizens, messages, told, seconds=120 if full else 4)
            await _stops_in_time(stack, verdict, full=full)
            await asyncio.to_thread(stack.start_again, "kafka")
            await asyncio.to_thread(stack.start_again, "ingest-sms")
            await _try_again(stack, client, messages, rounds)
            await _until_there(stack, 1 + 3 * rounds)
        world = await healed(stack, log, verdict)
    _hold(verdict, told, world, rounds, full=full)
    return verdict


def _sid(number: int) -> str:
    return f"SM{number:032x}"


async def _write(
    stack: Stack,
    client: aiohttp.ClientSession,
    citizens: Citizens,
    messages: TextMessages,
    told: Told,
    *,
    seconds: float,
) -> int:
    """One SMS, one mail and one form a round, all at once, until the time is up; how many rounds there were."""
    ends_at, rounds = time.monotonic() + seconds, 0
    while time.monotonic() < ends_at:
        rounds += 1
        form = await citizens.open_form("general-question")
        answers = FORM | {"message": f"Où se trouve le marché numéro {rounds} ?"}
        sms, mail, web = await asyncio.gather(
            told.time(messages.deliver(client, _sid(rounds), rounds)),
            told.time(asyncio.to_thread(send, stack.port("ingest-email.smtp"), a_mail(rounds))),
            told.time(form.send(answers)),
        )
        told.sms.append(sms.outcome)
        told.mail.append(mail[0])
        told.web.append(web.status_code)
    return rounds


async def _stops_in_time(stack: Stack, verdict: Verdict, *, full: bool) -> None:
    """SIGTERM while Kafka is away: aiokafka's own stop() would wait for ever (#1101)."""
    began = time.monotonic()
    await asyncio.to_thread(stack.stop_process, "ingest-sms")
    took_s = time.monotonic() - began
    verdict.figures["stop ms"] = int(took_s * 1000)
    verdict.expect_within(took_s, 10, "the SMS door took to stop", full=full)


async def _try_again(stack: Stack, client: aiohttp.ClientSession, messages: TextMessages, rounds: int) -> None:
    """What a refused sender does: the same message, under the same id."""
    for number in range(1, rounds + 1):
        async with asyncio.timeout(PATIENCE_S):
            while (await messages.deliver(client, _sid(number), number)).outcome != "ok":
                await asyncio.sleep(0.5)
            while (await asyncio.to_thread(send, stack.port("ingest-email.smtp"), a_mail(number)))[0] != 250:
                await asyncio.sleep(0.5)


async def _until_there(stack: Stack, contacts: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while len({received.event_id for received in (await look(stack)).received}) < contacts:
            await asyncio.sleep(0.3)


def _hold(verdict: Verdict, told: Told, world: World, rounds: int, *, full: bool) -> None:
    verdict.expect(set(told.sms) == {"fail"}, f"SMS were told {set(told.sms)} while Kafka was down")
    verdict.expect(set(told.mail) == {451}, f"mails were told {set(told.mail)}, not 451")
    verdict.expect(set(told.web) == {303}, f"forms were told {set(told.web)}, not 303")
    verdict.expect_within(max(told.waited_s), LONGEST_WAIT_S, "a sender waited", full=full)
    arrived = Counter(received.event_id for received in world.received)
    verdict.expect(len(arrived) == 1 + 3 * rounds, f"{1 + 3 * rounds} contacts were written, {len(arrived)} arrived")
    verdict.figures |= {"refused sms": rounds, "refused mails": rounds, "forms in the outbox": rounds}
    verdict.figures["longest wait ms"] = int(max(told.waited_s) * 1000)


SCENARIO = Scenario(
    "F-08",
    "all brokers down for two minutes, the doors running",
    "503, 451, 303 in time; I1 I4 I7",
    run,
    own_brokers=True,
)
