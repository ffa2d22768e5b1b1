"""F-35: towns and auto-responders without machine headers write to each other; the loop ends, and an alarm is raised."""

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
from tests.faults.oracle import Verdict, read_state
from tests.faults.scenario import OwnTownScenario, Workspace, start_town
from tests.faults.smtp_client import RECIPIENT
from tests.patience import PATIENCE_S

_SERVICES = ("ingest-email", "router", "notifier")
_DOMAIN = RECIPIENT.partition("@")[2]
_OTHER_DOMAIN = "other-town.example"
_DAILY_LIMIT = 5  # automatic messages to one address in a day
_QUIET_ROUNDS = 2


@dataclass
class AutoResponder:
    """An auto-responder without machine headers. `starts_new_threads`: each answer is a new matter, without thread headers."""

    address: str
    starts_new_threads: bool
    written: int = 0

    def first(self) -> bytes:
        return self._mail(RECIPIENT, "Lampadaire en panne", {})

    def answer(self, mail: dict[str, Any]) -> bytes:
        message_id = str(mail["message_id"])
        thread_headers = {} if self.starts_new_threads else {"In-Reply-To": message_id, "References": message_id}
        return self._mail(RECIPIENT, "Merci de votre message", thread_headers)

    def _mail(self, to: str, subject: str, thread_headers: dict[str, str]) -> bytes:
        self.written += 1
        fields = {"From": self.address, "To": to, "Subject": subject, "Message-ID": f"<{self.written}.{self.address}>"}
        head = "\r\n".join(f"{name}: {value}" for name, value in (fields | thread_headers).items())
        return f"{head}\r\n\r\nVotre message nous est bien parvenu.\r\n".encode()


@dataclass
class MailCarrier:
    """Carries mails between the towns and the auto-responders."""

    towns: dict[str, Stack]
    machines: Sequence[AutoResponder]
    carried: Counter[str] = field(default_factory=Counter[str])
    refused: list[str] = field(default_factory=list[str])
    seen: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])

    async def carry_until_quiet(self) -> None:
        """Carry mails until some rounds had none and every contact is decided."""
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
        async with Citizens(stack) as citizens:
            for machine in self.machines:
                for mail in await citizens.mails_to(machine.address):
                    if self._is_new(domain, mail):
                        moved += 1
                        await self.deliver(stack, machine.address, RECIPIENT, machine.answer(mail))
            for other, other_town in self.towns.items():
                for mail in await citizens.mails_to(f"mairie@{other}"):
                    if other != domain and self._is_new(domain, mail):
                        moved += 1
                        await self._hand_over(stack, other_town, other, mail)
        return moved

    async def _hand_over(self, town: Stack, other_town: Stack, domain: str, mail: dict[str, Any]) -> None:
        """Deliver a town's own mail, as its relay received it, to the other town."""
        async with httpx.AsyncClient(timeout=PATIENCE_S) as http:
            raw = await http.get(f"http://127.0.0.1:{town.port('outside.mail-web')}{mail['raw_url']}")
        await self.deliver(other_town, str(mail["mail_from"]), f"mairie@{domain}", raw.content)

    async def deliver(self, stack: Stack, sender: str, recipient: str, content: bytes) -> None:
        self.carried[sender if sender in {m.address for m in self.machines} else "town"] += 1
        code = await asyncio.to_thread(_send, stack.port("ingest-email.smtp"), sender, recipient, content)
        if code != 250:
            self.refused.append(f"{recipient} answered {code}")

    def _is_new(self, domain: str, mail: dict[str, Any]) -> bool:
        known = (domain, str(mail["id"])) in self.seen
        self.seen.add((domain, str(mail["id"])))
        return not known


async def run(workspace: Workspace, full: bool) -> Verdict:
    verdict = Verdict()
    unthreaded = AutoResponder("repondeur@citizen.example", starts_new_threads=True)
    threaded = AutoResponder("absence@citizen.example", starts_new_threads=False)
    async with _towns(workspace, both=full) as towns:
        post = MailCarrier(towns, (unthreaded, threaded))
        town = towns[_DOMAIN]
        for machine in (unthreaded, threaded):
            await post.deliver(town, machine.address, RECIPIENT, machine.first())
        if full:  # a sender forges the address of the other town
            content = AutoResponder(f"mairie@{_OTHER_DOMAIN}", starts_new_threads=True).first()
            await post.deliver(town, f"mairie@{_OTHER_DOMAIN}", RECIPIENT, content)
        await post.carry_until_quiet()
        await _check_expectations(verdict, town, post, unthreaded, threaded)
        if full:
            await _check_other_town(verdict, towns)
    return verdict


@asynccontextmanager
async def _towns(workspace: Workspace, *, both: bool) -> AsyncGenerator[dict[str, Stack]]:
    with start_town(replace(workspace, folder=workspace.folder / "here"), _SERVICES, outside=True) as (town, _log):
        if not both:
            yield {_DOMAIN: town}
            return
        with _other_town(workspace.folder) as other_town:
            yield {_DOMAIN: town, _OTHER_DOMAIN: other_town}


@contextmanager
def _other_town(var: Path) -> Any:
    """Start the same town under another domain."""
    with Stack.start(var / "nothing", services=[]) as empty_stack:
        folder = Path(empty_stack.env["PARVIS_CONFIG_DIR"])
    config = shutil.copytree(folder, var / "config")
    for file in config.rglob("*.yaml"):
        file.write_text(file.read_text().replace(_DOMAIN, _OTHER_DOMAIN))
    with start_town(Workspace(var / "there"), _SERVICES, outside=True, PARVIS_CONFIG_DIR=str(config)) as (
        other_town,
        _log,
    ):
        yield other_town


async def _check_expectations(
    verdict: Verdict, stack: Stack, post: MailCarrier, unthreaded: AutoResponder, threaded: AutoResponder
) -> None:
    notices = {machine.address: await _notices(stack, machine.address) for machine in (unthreaded, threaded)}
    verdict.figures |= {
        "messages carried": post.carried.total(),
        "notices to the unthreaded responder": notices[unthreaded.address],
    }
    verdict.expect(not post.refused, f"mails were refused: {post.refused[:3]}")
    verdict.expect(
        notices[unthreaded.address] <= _DAILY_LIMIT, f"{notices[unthreaded.address]} notices to one address in a day"
    )
    verdict.expect(notices[threaded.address] <= 1, f"{notices[threaded.address]} notices in one conversation")
    verdict.expect(unthreaded.written <= _DAILY_LIMIT + 1, f"{unthreaded.written} messages until the loop ended")
    withheld = await _withheld(stack)
    verdict.expect(withheld >= 1, "no notice was withheld: the loop left no trace")
    async with httpx.AsyncClient(timeout=PATIENCE_S) as http:
        metrics = (await http.get(f"{stack.url('notifier')}/metrics")).text
    alarm = [line for line in metrics.splitlines() if line.startswith('parvis_loops_suspected_total{channel="email"}')]
    verdict.expect(bool(alarm) and float(alarm[0].split()[-1]) >= 1, "no alarm was raised")
    ids = {received.event_id for received in (await read_state(stack)).routed}
    verdict.expect(
        len(ids) >= unthreaded.written + threaded.written, "a message of the loop was lost instead of routed"
    )


async def _check_other_town(verdict: Verdict, towns: dict[str, Stack]) -> None:
    """Check that a town marks its automatic mails, and that the other town does not answer them."""
    other_town = towns[_OTHER_DOMAIN]
    prefix = other_town.plan.topic_prefix
    contacts = [
        json.loads(r.value) async for r in read_all_records(other_town.kafka, [CONTACT_RECEIVED.full_name(prefix)])
    ]
    verdict.expect(len(contacts) == 1, f"{len(contacts)} contacts in the other town, not one")
    verdict.expect(
        all(contact.get("machine") for contact in contacts),
        "a town did not recognize another town's notice as automatic",
    )
    verdict.expect(not (await read_state(other_town)).replies, "a town answered another town's notice")
    verdict.figures["contacts in the other town"] = len(contacts)


async def _notices(stack: Stack, address: str) -> int:
    async with Citizens(stack) as citizens:
        return len(await citizens.mails_to(address))


async def _withheld(stack: Stack) -> int:
    prefix = stack.plan.topic_prefix
    updates = [json.loads(r.value) async for r in read_all_records(stack.kafka, [DELIVERY_UPDATED.full_name(prefix)])]
    return sum(update["state"] == "failed" and update.get("failure_class") == "budget" for update in updates)


async def _is_settled(stack: Stack) -> bool:
    """Whether every contact is routed and every requested notice is sent or refused."""
    state = await read_state(stack)
    prefix = stack.plan.topic_prefix
    states: dict[str, str] = {}
    async for received in read_all_records(stack.kafka, [DELIVERY_UPDATED.full_name(prefix)]):
        update = json.loads(received.value)
        states[update["reply_id"]] = update["state"]
    ended = {reply for reply, state in states.items() if state not in ("planned", "reserved")}
    due = {r.event_id for r in state.replies if json.loads(r.value)["kind"] == "registration"}
    routed = {r.event_id for r in (*state.routed, *state.dead_letters)}
    return {r.event_id for r in state.received} <= routed and due <= ended


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


SCENARIO = OwnTownScenario(
    "F-35",
    "two towns, an auto-responder without machine headers that starts new threads, one that keeps them, and a forged sender",
    "at most five notices a day to one address, one a conversation; then silence, and an alarm; nothing lost",
    run,
)
