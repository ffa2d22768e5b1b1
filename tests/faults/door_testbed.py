"""Runs a town with all its doors, and citizens who write to it beside an attack and note how they were served."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

from parvis.common.contract.contact import ContactId
from parvis.common.contract.references import make_reference
from parvis.local.citizen_client import Citizens
from parvis.local.stack import Stack
from tests.faults.oracle import SystemState, Verdict, read_state
from tests.faults.outsider import why_no_outsiders
from tests.faults.scenario import Workspace, settle_and_check, start_town
from tests.faults.small_disk import SmallDisk, mount_small_disk
from tests.faults.sms_load import ClientLog, SmsLoad, http_client
from tests.faults.smtp_client import SmtpAnswers, build_mail, connect
from tests.patience import PATIENCE_S

Answer = TypeVar("Answer")
SERVICES = ("ingest-sms", "ingest-email", "ingest-web", "router", "notifier", "desk")
HTTP_DOORS = ("ingest-sms", "ingest-email", "ingest-web", "notifier", "desk")
FORM = {"problem": "pothole", "place": "12 rue de l’Église", "reply-channel": "none"}
LONGEST_WAIT_S = 1.0
_NUMBERS, _LOADS = itertools.count(), itertools.count()
_SENDERS = 500  # of one load


@dataclass
class ServedCitizens:
    """The answers that ordinary citizens got beside an attack, and how long each waited.

    `baseline_s`: the longest wait just before and after the attack, on the same machine with whatever else it does.
    """

    sms: Counter[str] = field(default_factory=Counter[str])
    mails: SmtpAnswers = field(default_factory=SmtpAnswers)
    forms: Counter[int] = field(default_factory=Counter[int])
    references: list[str] = field(default_factory=list[str])
    sms_waits_s: list[float] = field(default_factory=list[float])
    form_waits_s: list[float] = field(default_factory=list[float])
    baseline_s: float = 0

    @property
    def longest_s(self) -> float:
        return max([*self.sms_waits_s, *self.form_waits_s, *self.mails.waits_s], default=0)

    def check(self, verdict: Verdict, *, full: bool) -> None:
        """All were accepted; in the full size, none waited for more than a second longer than without the attack."""
        answers = set(self.sms), set(self.mails.codes), set(self.forms)
        verdict.expect(
            answers == ({"ok"}, {250}, {303}), f"other citizens got {self.sms}, {self.mails.codes}, {self.forms}"
        )
        verdict.expect_within(self.longest_s, self.baseline_s + LONGEST_WAIT_S, "another citizen waited", full=full)
        verdict.figures |= {"others": self.sms.total() + self.mails.codes.total() + self.forms.total()}
        verdict.figures |= {"others max ms": int(self.longest_s * 1000), "baseline max ms": int(self.baseline_s * 1000)}
        for name, waits_s in (("sms", self.sms_waits_s), ("mail", self.mails.waits_s), ("form", self.form_waits_s)):
            verdict.figures[f"{name} max ms"] = int(max(waits_s, default=0) * 1000)


async def measure(work: Awaitable[Answer], waits_s: list[float]) -> Answer:
    """Await, and note how long it took."""
    began = time.monotonic()
    try:
        return await work
    finally:
        waits_s.append(time.monotonic() - began)


@dataclass
class DoorTestbed:
    """A town with all its doors, the senders' log, and what citizens have sent so far."""

    stack: Stack
    log: ClientLog
    pause_s: float
    """How long a citizen waits between two messages."""
    calm_s: float
    """How long citizens write before and after an attack, to see how long they wait without it."""
    files_budget_bytes: int
    """Of the files that one address may upload at once."""
    disk: SmallDisk | None
    """The disk of the services' temporary files; None where none can be mounted."""
    mail_ids: set[str] = field(default_factory=set[str])
    references: list[str] = field(default_factory=list[str])
    _memory_mb: dict[str, int] = field(default_factory=dict[str, int])

    def port(self, name: str) -> int:
        return self.stack.port(name)

    @asynccontextmanager
    async def served_citizens(self, *, with_mail: bool = True) -> AsyncGenerator[ServedCitizens]:
        """Have citizens write by all channels for the duration of the block, at least once during it."""
        before_s = await self._longest_calm_wait_s(with_mail=with_mail)
        self._forget_peaks()
        async with self._writing_citizens(with_mail=with_mail) as served:
            yield served
        served.baseline_s = max(before_s, await self._longest_calm_wait_s(with_mail=with_mail))

    async def _longest_calm_wait_s(self, *, with_mail: bool) -> float:
        if not self.calm_s:
            return 0
        async with self._writing_citizens(with_mail=with_mail) as calm:
            await asyncio.sleep(self.calm_s)
        return calm.longest_s

    @asynccontextmanager
    async def _writing_citizens(self, *, with_mail: bool) -> AsyncGenerator[ServedCitizens]:
        served, done = ServedCitizens(), asyncio.Event()
        async with http_client() as client, Citizens(self.stack) as citizens, asyncio.TaskGroup() as group:
            load = next(_LOADS)
            # Nobody writes twice: who has two open cases is asked which one a third message is about, and that one waits.
            messages = SmsLoad(
                self.stack, self.log, senders=_SENDERS, first_sender=_SENDERS * (load % 40), run=f"doors-{load}-"
            )
            group.create_task(self._repeat(done, lambda: self._text(served, messages, client)))
            group.create_task(self._repeat(done, lambda: self._fill_in(served, citizens)))
            if with_mail:
                group.create_task(self._repeat(done, lambda: asyncio.to_thread(self._mail, served)))
            try:
                yield served
            finally:
                done.set()
        self.mail_ids |= served.mails.ids
        self.references += served.references

    async def _text(self, served: ServedCitizens, messages: SmsLoad, client: aiohttp.ClientSession) -> None:
        served.sms[(await measure(messages.send_next(client), served.sms_waits_s)).outcome] += 1

    async def _fill_in(self, served: ServedCitizens, citizens: Citizens) -> None:
        form = await measure(citizens.open_form("road-report"), served.form_waits_s)
        filled = FORM | {"details": f"Un trou, numéro {next(_NUMBERS)}."}
        answer = await measure(form.send(filled), served.form_waits_s)
        served.forms[answer.status_code] += 1
        if answer.status_code == 303:
            served.references.append(answer.headers["location"].partition("?")[0].rpartition("/")[2])

    def _mail(self, served: ServedCitizens) -> None:
        number = next(_NUMBERS)
        with connect(self.port("ingest-email.smtp")) as client:
            served.mails.send(client, f"une.personne@citizens-{number % 40}.example", build_mail(number))

    async def _repeat(self, done: asyncio.Event, send: Callable[[], Awaitable[None]]) -> None:
        while True:
            await send()
            if done.is_set():
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(done.wait(), self.pause_s)

    def _forget_peaks(self) -> None:
        for name in SERVICES:
            Path(f"/proc/{self.stack.pid(name)}/clear_refs").write_text("5")
            self._memory_mb[name] = memory_mb(self.stack.pid(name), "VmRSS:")

    def check_memory(self, verdict: Verdict, name: str, *, most_mb: int, full: bool) -> None:
        """In the full size, bound what a service grew by since `served_citizens` began."""
        grown_mb = memory_mb(self.stack.pid(name), "VmHWM:") - self._memory_mb[name]
        verdict.expect(not full or grown_mb <= most_mb, f"{name} grew by {grown_mb} MB")
        verdict.figures[f"{name} grew by, MB"] = grown_mb

    async def settle_and_check(self, verdict: Verdict) -> SystemState:
        """Wait until what was accepted is in Kafka and decided, then check the invariants on everything so far."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while self._lost(await read_state(self.stack)):
                    await asyncio.sleep(0.3)
        state = await settle_and_check(self.stack, self.log, verdict)
        self._check_contacts(verdict, state)
        return state

    def _lost(self, state: SystemState) -> set[str]:
        """The ids and references of accepted messages that are not in Kafka."""
        arrived = {received.event_id for received in state.received}
        accepted = {str(attempt.contact_id) for attempt in self.log.attempts if attempt.outcome == "ok"}
        known = arrived | {make_reference(ContactId(contact)) for contact in arrived}
        return (accepted | self.mail_ids | set(self.references)) - known

    def _check_contacts(self, verdict: Verdict, state: SystemState) -> None:
        """Each accepted message of each channel is one contact, and there is no other."""
        arrived = {received.event_id for received in state.received}
        accepted = {str(attempt.contact_id) for attempt in self.log.attempts if attempt.outcome == "ok"}
        forms = {contact for contact in arrived if make_reference(ContactId(contact)) in set(self.references)}
        verdict.expect(not self._lost(state), f"I4: {len(self._lost(state))} accepted messages are not in Kafka")
        verdict.expect(len(forms) == len(self.references), f"{len(self.references)} forms made {len(forms)} contacts")
        unknown = arrived - accepted - self.mail_ids - forms
        verdict.expect(not unknown, f"{len(unknown)} contacts were never accepted by an answer")


@asynccontextmanager
async def start_door_testbed(workspace: Workspace, *, full: bool) -> AsyncGenerator[DoorTestbed]:
    """Start a town on a machine whose other addresses are clients: only 127.0.0.1 is a proxy and the town's mail server."""
    temporary = workspace.folder / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    files_mb = 20 if full else 1
    limits = {
        "TMPDIR": str(temporary),
        "PARVIS_HTTP_PROXIES": "127.0.0.1/32",
        "PARVIS_INGEST_EMAIL_TRUSTED_NETWORKS": "127.0.0.1/32",
        "PARVIS_INGEST_SMS_SENDER_BURST": "1000",
        "PARVIS_INGEST_WEB_FILES_MB_PER_MINUTE": str(files_mb),
    }
    with (
        mount_small_disk(temporary, megabytes=256) as disk,  # as /tmp of the shipped containers
        start_town(workspace, SERVICES, outside=False, **limits) as (stack, log),
    ):
        yield DoorTestbed(stack, log, 0.3 if full else 2.0, 15 if full else 0, files_mb * 10_000_000, disk)


@dataclass(frozen=True)
class DoorScenario:
    """A row of the matrix in which outsiders attack a town's doors. In the small size all rows share one town, in turn."""

    name: str
    injection: str
    must_hold: str
    run_on: Callable[[DoorTestbed, bool], Coroutine[Any, Any, Verdict]]
    missing_requirement: Callable[[], str | None] = why_no_outsiders

    async def run(self, workspace: Workspace, full: bool) -> Verdict:
        """Run on a town of its own."""
        async with start_door_testbed(workspace, full=full) as testbed:
            return await self.run_on(testbed, full)


def memory_mb(pid: int, line: str) -> int:
    """The resident memory of a process now (VmRSS:) or at its peak (VmHWM:)."""
    return int(Path(f"/proc/{pid}/status").read_text().partition(line)[2].split()[0]) // 1024
