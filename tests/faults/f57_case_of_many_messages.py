"""F-57: one citizen sends hundreds of messages in one conversation; an agent reads and works on the case."""

import asyncio
import re
import time
from uuid import uuid4

import httpx

from parvis.common.contract.contact import ContactId
from parvis.local.citizen_client import HiddenInputs
from tests.faults.door_testbed import DoorScenario, DoorTestbed
from tests.faults.oracle import SystemState, Verdict
from tests.faults.sms_load import SmsLoad, http_client
from tests.patience import PATIENCE_S

_ON_A_PAGE = 50
_MOST_PAGE_BYTES = 400_000
_ANSWER = "Bonjour, nous avons bien lu vos messages."


async def run(testbed: DoorTestbed, full: bool) -> Verdict:
    verdict, count = Verdict(), 600 if full else 110
    async with testbed.served_citizens() as served, http_client() as client:
        texts = [f"Il y a un nid-de-poule rue de l’Église, message {number}." for number in range(count)]
        messages = SmsLoad(
            testbed.stack, testbed.log, senders=1, run=f"case-{uuid4()}-", first_sender=9_900, texts=texts
        )
        sent = [await messages.send_next(client) for _ in range(count)]
    verdict.expect({attempt.outcome for attempt in sent} == {"ok"}, "a message of the case was refused")
    served.check(verdict, full=full)
    state = await testbed.settle_and_check(verdict)
    case, department = _case_of(state, sent[-1].contact_id)
    sequences = [decision.sequence for decision in state.decisions if decision.conversation_id == case]
    verdict.expect(len(sequences) == count, f"{len(sequences)} of {count} messages are in the case")
    url = testbed.stack.url("desk")
    async with httpx.AsyncClient(base_url=url, headers={"Origin": url}, timeout=PATIENCE_S) as agent:
        await _log_in(agent, department)
        await _wait_for_messages(agent, case, count)
        await _read_all_pages(agent, case, count, verdict, full=full)
        await _act(agent, case, verdict)
    testbed.check_memory(verdict, "desk", most_mb=60, full=full)
    return verdict


def _case_of(state: SystemState, contact: ContactId) -> tuple[str, str]:
    """The conversation of a contact, and its department."""
    decision = state.contact_decisions[str(contact)]
    return decision.conversation_id, decision.department


async def _log_in(agent: httpx.AsyncClient, department: str) -> None:
    page = await agent.get("/login")
    answer = await agent.post("/login", data=_hidden(page) | {"name": "Camille Exemple", "department": department})
    assert answer.status_code == 303, answer.status_code


async def _wait_for_messages(agent: httpx.AsyncClient, case: str, count: int) -> None:
    """Wait until the desk shows the newest message."""
    async with asyncio.timeout(PATIENCE_S):
        while f"message {count - 1}." not in (await agent.get(f"/cases/{case}")).text:
            await asyncio.sleep(0.2)


async def _read_all_pages(agent: httpx.AsyncClient, case: str, count: int, verdict: Verdict, *, full: bool) -> None:
    """Follow the links to older messages: each page is bounded, and all messages are on one of them."""
    seen, url, took_s, largest = set[str](), f"/cases/{case}", list[float](), 0
    while url:
        began = time.monotonic()
        page = await agent.get(url)
        took_s.append(time.monotonic() - began)
        shown = set(re.findall(r"message (\d+)\.", page.text))
        verdict.expect(len(shown) <= _ON_A_PAGE + 1, f"{len(shown)} messages are on one page")  # one as the subject
        seen, largest = seen | shown, max(largest, len(page.content))
        older = re.search(r'href="(/cases/[^"]+\?until=\d+)" rel="prev"', page.text)
        url = older[1] if older else ""
    verdict.expect(len(seen) == count, f"{len(seen)} of {count} messages are on the pages")
    verdict.expect(largest <= _MOST_PAGE_BYTES, f"a page has {largest} bytes")
    verdict.expect_within(max(took_s), 1.0, "a page took", full=full)
    verdict.figures |= {
        "pages": len(took_s),
        "largest page, kB": largest >> 10,
        "slowest page ms": int(max(took_s) * 1000),
    }


async def _act(agent: httpx.AsyncClient, case: str, verdict: Verdict) -> None:
    """Take the case and answer it."""
    for action, fields in (("take", {}), ("reply", {"text": _ANSWER, "then": "waiting", "do": "send"})):
        hidden = _hidden(await agent.get(f"/cases/{case}"))
        answer = await agent.post(f"/cases/{case}/{action}", data=hidden | fields)
        verdict.expect(answer.status_code == 303, f"{action} got {answer.status_code}")
    verdict.expect(_ANSWER in (await agent.get(f"/cases/{case}")).text, "the answer is not on the page")


def _hidden(page: httpx.Response) -> dict[str, str]:
    inputs = HiddenInputs()
    inputs.feed(page.text)
    return inputs.hidden


SCENARIO = DoorScenario(
    "F-57",
    "600 messages of one citizen in one conversation; an agent reads all pages of the case, takes it and answers",
    "50 entries and less than 400 KB on a page, all messages on one; take and answer work; others are served; I1 I4",
    run,
)
