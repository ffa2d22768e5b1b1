"""F-35: towns and an answering machine that says nothing of itself write to each other: it ends by itself, and somebody is told."""

import asyncio
import json
import shutil
import smtplib
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from parvis.common.bus.topic_reader import read_all_records
from parvis.common.contract.topics import CONTACT_RECEIVED, DELIVERY_UPDATED
from parvis.local.citizen_client import Citizens
from parvis.local.stack import Stack
from tests.faults.mail import RECIPIENT
from tests.faults.oracle import Verdict, look
from tests.faults.scenario import Place, Scenario, town
from tests.patience import PATIENCE_S

_SERVICES = ("ingest-email", "router", "notifier")
_DOMAIN = RECIPIENT.partition("@")[2]
_OTHER_DOMAIN = "other-town.example"
_A_DAY = 5  # automatic messages that one address may get
_QUIET_ROUNDS = 2


@dataclass
class Machine:
    """An answering machine without any mark. `is_stubborn`: it also forgets whom it answers, so each answer is a new matter."""

    address: str
    is_stubborn: bool
    written: int = 0

    def first(self) -> bytes:
        return self._mail(RECIPIENT, "Lampadaire en panne", {})

    def answer(self, mail: dict[str, Any]) -> bytes:
        message_id = str(mail["message_id"])
        marks = {} if self.is_stubborn else {"In-Reply-To": message_id, "References": message_id}
        return self._mail(RECIPIENT, "Merci de votre message", marks)

    def _mail(self, to: str, subject: str, marks: dict[str, str]) -> bytes:
        self.written += 1
        fields = {"From": self.address, "To": to, "Subject": subject, "Message-ID": f"<{self.written}.{self.address}>"}
        head = "\r\n".join(f"{name}: {value}" for name, value in (fields | marks).items())
        return f"{head}\r\n\r\nVotre message nous est bien parvenu.\r\n".encode()


@dataclass
class Post:
    """The mail between the towns and the machines: whatever a town's relay took is carried where it should go."""

    towns: dict[str, Stack]
    machines: Sequence[Machine]
    carried: Counter[str] = field(default_factory=Counter[str])
    refused: list[str] = field(default_factory=list[str])
    seen: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])

    async def until_quiet(self) -> None:
        """Carry until nothing was there to be carried for some rounds, and every contact has been decided."""
        quiet = 0
        async with asyncio.timeout(PATIENCE_S * len(self.towns)):
            while quiet < _QUIET_ROUNDS:
                moved = sum([await self._carry(domain, stack) for domain, stack in self.towns.items()])
                quiet = 0 if moved or not await self._are_settled() else quiet + 1
                await asyncio.sleep(0.3)

    async def _are_settled(self) -> bool:
        return all([await _is_settled(stack) for stack in self.towns.values()])

    async def _carry(self, domain: str, stack: Stack) -> int:
        moved = 0
        async with Citizens(stack) as people:
            for machine in self.machines:
                for mail in await people.mails_to(machine.address):
                    if self._is_new(domain, mail):
                        moved += 1
                        await self.deliver(stack, machine.address, RECIPIENT, machine.answer(mail))
            for other, there in self.towns.items():
                for mail in await people.mails_to(f"mairie@{other}"):
                    if other != domain and self._is_new(domain, mail):
                        moved += 1
                        await self._hand_over(stack, there, other, mail)
        return moved

    async def _hand_over(self, here: Stack, there: Stack, domain: str, mail: dict[str, Any]) -> None:
        """A town's own mail, as its relay took it, to the other town."""
        async with httpx.AsyncClient(timeout=PATIENCE_S) as http:
            raw = await http.get(f"http://127.0.0.1:{here.port('outside.mail-web')}{mail['raw_url']}")
        await self.deliver(there, str(mail["mail_from"]), f"mairie@{domain}", raw.content)

    async def deliver(self, stack: Stack, sender: str, recipient: str, content: bytes) -> None:
        self.carried[sender if sender in {m.address for m in self.machines} else "town"] += 1
        code = await asyncio.to_thread(_send, stack.port("ingest-email.smtp"), sender, recipient, content)
        if code != 250:
            self.refused.append(f"{recipient} answered {code}")

    def _is_new(self, domain: str, mail: dict[str, Any]) -> bool:
        known = (domain, str(mail["id"])) in self.seen
        self.seen.add((domain, str(mail["id"])))
        return not known


async def run(place: Place, full: bool) -> Verdict:
    verdict = Verdict()
    stubborn = Machine("repondeur@citizen.example", is_stubborn=True)
    polite = Machine("absence@citizen.example", is_stubborn=False)
    async with _towns(place, both=full) as towns:
        post = Post(towns, (stubborn, polite))
        here = towns[_DOMAIN]
        for machine in (stubborn, polite):
            await post.deliver(here, machine.address, RECIPIENT, machine.first())
        if full:  # somebody writes to one town in the name of the other
            content = Machine(f"mairie@{_OTHER_DOMAIN}", is_stubborn=True).first()
            await post.deliver(here, f"mairie@{_OTHER_DOMAIN}", RECIPIENT, content)
        await post.until_quiet()
        await _hold(verdict, here, post, stubborn, polite)
        if full:
            await _hold_between(verdict, towns)
    return verdict


@asynccontextmanager
async def _towns(place: Place, *, both: bool) -> AsyncGenerator[dict[str, Stack]]:
    with town(replace(place, folder=place.folder / "here"), _SERVICES, outside=True) as (here, _log):
        if not both:
            yield {_DOMAIN: here}
            return
        with _other_town(place.folder) as there:
            yield {_DOMAIN: here, _OTHER_DOMAIN: there}


@contextmanager
def _other_town(var: Path) -> Any:
    """The same town under another name."""
    with Stack.start(var / "nothing", services=[]) as nothing:
        folder = Path(nothing.env["PARVIS_CONFIG_DIR"])
    config = shutil.copytree(folder, var / "config")
    for file in config.rglob("*.yaml"):
        file.write_text(file.read_text().replace(_DOMAIN, _OTHER_DOMAIN))
    with town(Place(var / "there"), _SERVICES, outside=True, PARVIS_CONFIG_DIR=str(config)) as (there, _log):
        yield there


async def _hold(verdict: Verdict, stack: Stack, post: Post, stubborn: Machine, polite: Machine) -> None:
    got = {machine.address: await _notices(stack, machine.address) for machine in (stubborn, polite)}
    verdict.figures |= {"messages carried": post.carried.total(), "notices to the stubborn": got[stubborn.address]}
    verdict.expect(not post.refused, f"the door did not take all: {post.refused[:3]}")
    verdict.expect(got[stubborn.address] <= _A_DAY, f"{got[stubborn.address]} notices to one address in a day")
    verdict.expect(got[polite.address] <= 1, f"{got[polite.address]} notices in one conversation")
    verdict.expect(stubborn.written <= _A_DAY + 1, f"{stubborn.written} messages until it ended")
    withheld = await _withheld(stack)
    verdict.expect(withheld >= 1, "nothing was withheld: nobody can see that there was a loop")
    async with httpx.AsyncClient(timeout=PATIENCE_S) as http:
        told = (await http.get(f"{stack.url('notifier')}/metrics")).text
    alarm = [line for line in told.splitlines() if line.startswith('parvis_loops_suspected_total{channel="email"}')]
    verdict.expect(bool(alarm) and float(alarm[0].split()[-1]) >= 1, "nobody is told of the loop")
    ids = {received.event_id for received in (await look(stack)).routed}
    verdict.expect(len(ids) >= stubborn.written + polite.written, "a message of the loop was lost instead of routed")


async def _hold_between(verdict: Verdict, towns: dict[str, Stack]) -> None:
    """What a town sends by itself says so: the other one answers nothing, and its own never come back."""
    there = towns[_OTHER_DOMAIN]
    prefix = there.plan.topic_prefix
    contacts = [json.loads(r.value) async for r in read_all_records(there.kafka, [CONTACT_RECEIVED.full_name(prefix)])]
    verdict.expect(len(contacts) == 1, f"{len(contacts)} contacts in the other town, not one")
    verdict.expect(all(contact.get("machine") for contact in contacts), "a town took another's notice for a citizen's")
    verdict.expect(not (await look(there)).replies, "a town answered another town's notice")
    verdict.figures["contacts in the other town"] = len(contacts)


async def _notices(stack: Stack, address: str) -> int:
    async with Citizens(stack) as people:
        return len(await people.mails_to(address))


async def _withheld(stack: Stack) -> int:
    prefix = stack.plan.topic_prefix
    updates = [json.loads(r.value) async for r in read_all_records(stack.kafka, [DELIVERY_UPDATED.full_name(prefix)])]
    return sum(update["state"] == "failed" and update.get("failure_class") == "budget" for update in updates)


async def _is_settled(stack: Stack) -> bool:
    """Every contact is routed, and every reply that was asked for has left or is refused."""
    world = await look(stack)
    prefix = stack.plan.topic_prefix
    states: dict[str, str] = {}
    async for received in read_all_records(stack.kafka, [DELIVERY_UPDATED.full_name(prefix)]):
        update = json.loads(received.value)
        states[update["reply_id"]] = update["state"]
    ended = {reply for reply, state in states.items() if state not in ("planned", "reserved")}
    due = {r.event_id for r in world.replies if json.loads(r.value)["kind"] == "registration"}
    routed = {r.event_id for r in (*world.routed, *world.dead)}
    return {r.event_id for r in world.received} <= routed and due <= ended


def _send(port: int, sender: str, recipient: str, content: bytes) -> int:
    client = smtplib.SMTP("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        client.sendmail(sender, [recipient], content)
    except smtplib.SMTPResponseException as error:
        return error.smtp_code
    except smtplib.SMTPRecipientsRefused as error:
        return next(iter(error.recipients.values()))[0]
    else:
        return 250
    finally:
        client.close()


SCENARIO = Scenario(
    "F-35",
    "two towns and an answering machine without headers write to each other",
    "at most five notices a day to one address, one a conversation; then silence, and somebody is told; nothing lost",
    run,
)
