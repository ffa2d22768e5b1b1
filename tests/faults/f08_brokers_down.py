"""F-08: Kafka is down while citizens go on writing: 503, 451, the outbox; then it comes back, and they try again."""

import asyncio
import smtplib
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from parvis.local.citizens import WebForm, mail_to_the_town
from parvis.local.stack import Stack

from tests.faults.load import TextMessages
from tests.faults.oracle import Verdict
from tests.faults.scenario import Scenario, healed, town, until_ended

DOORS = ("ingest-sms", "ingest-email", "ingest-web")


@dataclass
class Told:
    """What the senders were told while Kafka was down, and how long each waited."""

    sms: list[str] = field(default_factory=list[str])
    mail: list[int] = field(default_factory=list[int])
    web: list[int] = field(default_factory=list[int])
    waited_s: list[float] = field(default_factory=list[float])


async def run(var: Path, full: bool) -> Verdict:  # noqa: FBT001 (the two sizes)
    down_s = 120.0 if full else 6.0
    verdict, told = Verdict(), Told()
    with town(var, [*DOORS, "router"]) as (stack, log):
        messages = TextMessages(stack, log, senders=20)
        async with httpx.AsyncClient(timeout=20) as client:
            await messages.deliver(client, f"SM{0:032x}", 0)
            await asyncio.to_thread(stack.stop_kafka)
            count = await _write_while_down(stack, client, messages, told, seconds=down_s)
            await _doors_stop_in_time(stack, verdict)
            await asyncio.to_thread(stack.start_kafka)
            await asyncio.to_thread(stack.start_again, "ingest-sms")
            for number in range(1, count):  # Twilio's retry: the same sid
                attempt = await messages.deliver(client, f"SM{number:032x}", number)
                verdict.expect(attempt.outcome == "ok", f"the retry of message {number} was told {attempt.outcome}")
            for number in range(count):
                code = await asyncio.to_thread(_send_mail, stack, number)
                verdict.expect(code == 250, f"the retry of mail {number} was told {code}")
            await _until_outbox_is_empty(stack, expected=len(told.web))
        world = await healed(stack, log, verdict)
    channels = [_channel_of(received.value) for received in {r.event_id: r for r in world.received}.values()]
    verdict.expect(channels.count("web") == len(told.web), f"{len(told.web)} forms were accepted, {channels.count('web')} arrived")
    verdict.expect(channels.count("email") == count, f"{count} mails were accepted in the end, {channels.count('email')} arrived")
    _hold(verdict, told)
    return verdict


def _hold(verdict: Verdict, told: Told) -> None:
    verdict.expect(set(told.sms) <= {"fail"}, f"SMS were told {set(told.sms)} while Kafka was down")
    verdict.expect(set(told.mail) <= {451}, f"mails were told {set(told.mail)}, not 451")
    verdict.expect(set(told.web) <= {303}, f"forms were told {set(told.web)}, not 303")
    verdict.expect(max(told.waited_s) <= 12, f"a sender waited {max(told.waited_s):.1f} s")
    verdict.figures |= {"refused sms": len(told.sms), "refused mails": len(told.mail), "forms in the outbox": len(told.web)}
    verdict.figures["longest wait ms"] = int(max(told.waited_s) * 1000)


async def _write_while_down(stack: Stack, client: httpx.AsyncClient, messages: TextMessages, told: Told, *, seconds: float) -> int:
    """One of each a round, until the time is up; how many rounds there were."""
    ends_at, rounds = time.monotonic() + seconds, 0
    form = await WebForm.open(stack.url("ingest-web"), "question-generale")
    while time.monotonic() < ends_at:
        sms, mail, web = await asyncio.gather(
            _timed(told, messages.deliver(client, f"SM{rounds + 1:032x}", rounds + 1)),
            _timed(told, asyncio.to_thread(_send_mail, stack, rounds)),
            _timed(told, form.send_another(f"Message {rounds}")),
        )
        told.sms.append(sms.outcome)
        told.mail.append(mail)
        told.web.append(web)
        rounds += 1
    return rounds


async def _timed[T](told: Told, work: "asyncio.Future[T]") -> T:
    began = time.monotonic()
    answer = await work
    told.waited_s.append(time.monotonic() - began)
    return answer
