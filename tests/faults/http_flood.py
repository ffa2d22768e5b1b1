"""Floods the web forms' port with heads, half-sent forms and files as one client, while other citizens send forms."""

import asyncio
import itertools
import time
from collections import Counter
from dataclasses import dataclass, field

import httpx

from parvis.common.contract.contact import ContactId
from parvis.common.contract.references import make_reference
from parvis.local.citizen_client import Citizens, FormFile, WebForm
from parvis.local.stack import Stack
from tests.bench.measure import percentile
from tests.faults.door_testbed import FORM, LONGEST_WAIT_S
from tests.faults.oracle import Verdict, read_state
from tests.faults.outsider import hold_connections, pour
from tests.patience import PATIENCE_S

_NUMBERS = itertools.count()
_MOST_FILES = 40  # more than the budget
_OF_A_CLIENT = 100  # the setting's default
_ADDRESS = "203.0.113.66"
_GET = b"GET / HTTP/1.1\r\nhost: town.example\r\n"
_HALF = (
    b"POST /demarches/road-report HTTP/1.1\r\nhost: town.example\r\ncontent-type: application/x-www-form-urlencoded\r\n"
    b"content-length: 100\r\n\r\nmessage="
)


@dataclass
class FormAnswers:
    """The answers that other citizens' forms got, their references, and how long each waited."""

    statuses: Counter[int] = field(default_factory=Counter[int])
    references: set[str] = field(default_factory=set[str])
    waits_s: list[float] = field(default_factory=list[float])

    async def send_until(self, stack: Stack, ends_at: float) -> None:
        """Send a form now and then."""
        async with Citizens(stack) as citizens:
            while time.monotonic() < ends_at or not self.waits_s:
                began = time.monotonic()
                form = await citizens.open_form("road-report")
                answer = await form.send(FORM | {"details": f"Un trou, numéro {next(_NUMBERS)}."})
                self.waits_s.append(time.monotonic() - began)
                self.statuses[answer.status_code] += 1
                self.references.add(answer.headers.get("location", "").partition("?")[0].rpartition("/")[2])
                await asyncio.sleep(0.3)

    async def wait_until_published(self, stack: Stack) -> None:
        """Wait until all accepted forms have left the outbox, or until patience ends."""
        ends_at = time.monotonic() + PATIENCE_S
        while time.monotonic() < ends_at:
            state = await read_state(stack)
            if self.references <= {make_reference(ContactId(received.event_id)) for received in state.received}:
                return
            await asyncio.sleep(0.3)

    def check(self, verdict: Verdict, arrived: set[str]) -> None:
        """All were accepted and are in Kafka."""
        lost = self.references - {make_reference(ContactId(contact)) for contact in arrived}
        verdict.expect(set(self.statuses) == {303}, f"other citizens' forms got {dict(self.statuses)}")
        verdict.expect(not lost, f"I4: {len(lost)} accepted forms are not in Kafka")
        verdict.figures["forms"] = self.statuses[303]


def check_waits(verdict: Verdict, name: str, waits_s: list[float], calm_s: list[float], *, full: bool) -> None:
    """In the full size, one in a hundred waited for at most a second longer than without the attack."""
    p99_s, baseline_s = percentile(waits_s, 0.99), percentile(calm_s, 0.99) if calm_s else 0
    verdict.expect_within(p99_s, baseline_s + LONGEST_WAIT_S, f"one in a hundred {name} waited", full=full)
    verdict.figures |= {f"{name} p99 ms": int(p99_s * 1000), f"{name} max ms": int(max(waits_s) * 1000)}
    verdict.figures[f"{name} baseline p99 ms"] = int(baseline_s * 1000)


@dataclass(frozen=True)
class FloodAnswers:
    """What the attacks on the web forms got."""

    statuses: Counter[int]
    files: Counter[int]

    def check(self, verdict: Verdict) -> None:
        is_refused = set(self.statuses) <= {0, 431, 503, 408} and self.statuses[503] > 0
        verdict.expect(is_refused, f"heads and half-sent forms got {self.statuses}")
        verdict.expect(set(self.files) == {201, 429}, f"files got {self.files}")
        verdict.figures |= {"heads refused": self.statuses[431], "connections refused": self.statuses[503]}
        verdict.figures["files refused"] = self.files[429]


async def flood_http(url: str, ends_at: float, *, full: bool) -> FloodAnswers:
    """Attack the web forms until the time is up."""
    statuses, half_sent, port = Counter[int](), 1000 if full else 120, int(url.rpartition(":")[2])

    async def pour_heads(block: bytes, head: bytes) -> None:
        while time.monotonic() < ends_at:
            statuses[(await pour(port, head, block, most_bytes=1 << 20)).status] += 1
            await asyncio.sleep(0.05)

    async def hold_half_sent_forms() -> None:
        while time.monotonic() < ends_at:
            async with hold_connections(port, half_sent, _HALF) as held:
                await held.wait_for_answers(half_sent - _OF_A_CLIENT)
                await asyncio.sleep(1)
            statuses.update(held.statuses)

    heads = (pour_heads(b"x-a: b\r\n" * 8192, _GET), pour_heads(b"a" * 65536, _GET + b"x-a: "))
    files = await asyncio.gather(*heads, hold_half_sent_forms(), _upload_files(url, ends_at, full=full))
    return FloodAnswers(statuses, files[-1])


async def _upload_files(url: str, ends_at: float, *, full: bool) -> Counter[int]:
    """Upload files of one address with a form that is never sent, at least until one is refused. Gives the statuses."""
    statuses, size_bytes = Counter[int](), 9_000_000 if full else 900_000
    async with httpx.AsyncClient(timeout=PATIENCE_S) as outsider:
        page = f"{url}/demarches/road-report"
        form = WebForm(outsider, page, (await outsider.get(page)).text)
        while time.monotonic() < ends_at or not (statuses[429] or statuses.total() > _MOST_FILES):
            number = next(_NUMBERS).to_bytes(4, "big")
            photo: FormFile = ("photo", ("a.jpeg", b"\xff\xd8\xff\xe0" + number * (size_bytes // 4), "image/jpeg"))
            statuses[(await form.upload([photo], client=_ADDRESS)).status_code] += 1
            await asyncio.sleep(0.05)
    return statuses
