"""Measures the desk's pages over many cases: queue, search (rare word, common word, name, part of a reference), case."""

import asyncio
import os
import random
import re
import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from parvis.common.contract.contact import ContactPersonalData, ContactPoint, make_contact_id
from parvis.common.contract.references import make_reference
from parvis.common.contract.routing.decisions import ContactRouted, Routing, make_conversation_id
from parvis.common.storage.postgres import Database
from parvis.common.testing import a_contact
from parvis.common.town.loading import load_town_config
from parvis.desk.store.search_indexing import rebuild_index
from parvis.local.stack import Stack
from tests.bench.measure import Bench, Incomplete, Measure, percentile

CASES = int(os.environ.get("PARVIS_BENCH_CASES", "100000"))  # noqa: TID251 (settings of the benchmark)
REQUESTS = int(os.environ.get("PARVIS_BENCH_REQUESTS", "200"))  # noqa: TID251
AGENTS, CHANGES = 200, 10  # whose queues are open, and what one of them does meanwhile
MESSAGES_OF_CASE = 10  # six of the citizen, four of the department
DEPARTMENTS = ("voirie", "etat-civil", "police", "ccas", "triage")
NAMES = [
    "Martin",
    "Bernard",
    "Dubois",
    "Thomas",
    "Robert",
    "Richard",
    "Petit",
    "Durand",
    "Leroy",
    "Moreau",
    "Simon",
    "Laurent",
    "Lefebvre",
    "Michel",
    "Garcia",
]
FIRST_NAMES = "Camille Lou Céleste Andrée Noor Sacha Dominique Maxime Claude Alix".split()  # noqa: SIM905
RARE, COMMON = "xylophone", "trottoir"
_VOCABULARY = [f"{start}{middle}{end}" for start in ("ba", "co", "di", "fu", "ma", "re", "to", "vi", "lam", "par") for middle in
               ("ron", "lit", "mas", "per", "gul", "vent", "dor", "cel", "tin", "bra") for end in ("ade", "ier", "oule", "ance", "et", "ure", "ique", "on", "al", "eau")]  # fmt: skip
_LAST = datetime(2026, 11, 1, tzinfo=UTC)
_TABLES = ("case_file", "contact", "reply", "search_entry")


class DeskFilling:
    """Makes the rows of cases, contacts and replies, the same ones in every run."""

    def __init__(self, cases: int) -> None:
        self._random = random.Random(14)  # noqa: S311
        self._cases = cases
        self._event = self._template()

    def cases(self, first: int, last: int) -> tuple[list[Any], list[Any], list[Any]]:
        rows = [self._case(number) for number in range(first, last)]
        return (
            [case for case, _, _ in rows],
            [c for _, own, _ in rows for c in own],
            [r for _, _, own in rows for r in own],
        )

    def _case(self, number: int) -> tuple[Any, list[Any], list[Any]]:
        at = _LAST - timedelta(minutes=20 * (self._cases - number))
        name = f"{self._random.choice(FIRST_NAMES)} {self._random.choice(NAMES)}"
        phone = f"+33639{self._random.randrange(10**6):06}"
        contact_id = make_contact_id("sms", "bench", str(number))
        conversation, department = make_conversation_id(contact_id, at), DEPARTMENTS[number % len(DEPARTMENTS)]
        state = "closed" if number < 0.9 * self._cases else ("open", "open", "waiting")[number % 3]
        reference, subject = make_reference(contact_id), self._sentence(number)
        case = (conversation, reference, department, state, None, "sms", subject, "", name, 2, 6, False, at,
                at + timedelta(days=7), at, f"A{number % 50}" if number % 2 else None)  # fmt: skip
        contacts = [self._contact(conversation, number, place, at, name, phone) for place in range(6)]
        replies = [(str(uuid.UUID(int=number * 100 + place)), conversation, "Lou Exemple", department, "sms", phone,
                    self._sentence(number), at + timedelta(hours=place)) for place in range(4)]  # fmt: skip
        return case, contacts, replies

    def _sentence(self, number: int) -> str:
        words = self._random.choices(_VOCABULARY, k=14)
        words += [COMMON] if self._random.random() < 0.3 else []
        words += [RARE] if number % (self._cases // 12 or 1) == 0 and self._random.random() < 0.2 else []
        return "Bonjour, " + " ".join(words) + "."

    def _contact(self, conversation: str, number: int, place: int, at: datetime, name: str, phone: str) -> Any:
        contact_id = make_contact_id("sms", "bench", str(number) if place == 0 else f"{number}-{place}")
        reference, received = make_reference(contact_id), at + timedelta(hours=place)
        routed = self._event
        for old, new in (("CONTACT", contact_id), ("CONVERSATION", conversation), ("TEXT", self._sentence(number)), ("NAME", name),
                         ("+33639980001", phone), ("2026-03-02T09:30:00Z", received.isoformat()), ("REFERENCE", reference)):  # fmt: skip
            routed = routed.replace(old, new)
        return contact_id, conversation, place + 1, reference, received, routed.encode()

    @staticmethod
    def _template() -> str:
        point = ContactPoint(kind="phone", value="+33639980001")
        contact = a_contact(
            personal=ContactPersonalData.model_validate({"from": point, "text": "TEXT", "display_name": "NAME"})
        )
        conversation = make_conversation_id(contact.contact_id, contact.received_at)
        routing = Routing(
            conversation_id=conversation, sequence=1, department="voirie", reference=contact.reference, rule="bench", rules_version="1",
            confidence=1, reason={"fr": "Banc.", "en": "Bench."}, received_at=contact.received_at, decided_at=contact.received_at,
        )  # fmt: skip
        text = ContactRouted(routing=routing, contact=contact).model_dump_json(by_alias=True, exclude_none=True)
        text = text.replace(contact.contact_id, "CONTACT").replace(contact.reference, "REFERENCE")
        return text.replace(conversation, "CONVERSATION")


async def fill(stack: Stack, cases: int) -> float:
    """Fill the tables by COPY, and the index as `parvis desk reindex` does. Gives the seconds of the latter."""
    made = DeskFilling(cases)
    connection = await asyncpg.connect(stack.env["PARVIS_DATABASE_URL"].replace("+asyncpg", ""))
    columns = ["conversation_id", "reference", "department", "state", "procedure", "channel", "subject", "snippet", "citizen", "urgency", "contacts", "undelivered", "received_at", "answer_due_at", "changed_at", "taken_by"]  # fmt: skip
    for first in range(0, cases, 2000):
        rows = made.cases(first, min(first + 2000, cases))
        await connection.copy_records_to_table("case_file", schema_name="desk", records=rows[0], columns=columns)
        names = ["contact_id", "conversation_id", "sequence", "reference", "at", "routed"]
        await connection.copy_records_to_table("contact", schema_name="desk", records=rows[1], columns=names)
        names = ["reply_id", "conversation_id", "agent", "department", "channel", "address", "text", "at"]
        await connection.copy_records_to_table("reply", schema_name="desk", records=rows[2], columns=names)
    began = time.perf_counter()
    database = Database(stack.env["PARVIS_DATABASE_URL"], service="bench")
    await rebuild_index(database, load_town_config(Path(stack.env["PARVIS_CONFIG_DIR"])))
    await database.close()
    seconds = time.perf_counter() - began
    for table in _TABLES:
        await connection.execute(f"vacuum analyze desk.{table}")
    await connection.close()
    return seconds


async def log_in(http: httpx.AsyncClient, name: str = "Dominique Exemple") -> None:
    shown = re.search(r'name="_csrf" value="([^"]+)"', (await http.get("/login")).text)
    form = {"_csrf": unescape(shown[1]) if shown else "", "name": name, "department": "voirie"}
    if (answer := await http.post("/login", data=form)).status_code != 303:
        raise Incomplete([], [f"the desk did not let {name} in: {answer.status_code}"])


async def run(folder: Path) -> Sequence[Measure]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with Stack.start(folder / "town", services=["desk"]) as stack:
        seconds = await fill(stack, CASES)
        measures = [Measure("desk", "messages indexed per second", "1/s", CASES * MESSAGES_OF_CASE / seconds)]
        before = await _table_scans(stack)
        async with httpx.AsyncClient(base_url=stack.url("desk"), timeout=60) as http:
            await log_in(http)
            for name, paths in _requests().items():
                measures += await _measure(http, name, paths)
            measures += await _measure_streams(stack, http)
        scans = await _table_scans(stack) - before
    return [*measures, Measure("desk", "sequential scans of large tables", "", scans)]


def _requests() -> dict[str, list[str]]:
    numbers = range(0, CASES, len(DEPARTMENTS))
    chosen = random.Random(15).choices(numbers, k=REQUESTS)  # noqa: S311
    contacts = [make_contact_id("sms", "bench", str(number)) for number in chosen]
    names = [f"{FIRST_NAMES[n % len(FIRST_NAMES)]} {NAMES[n % len(NAMES)]}" for n in range(REQUESTS)]
    at = [_LAST - timedelta(minutes=20 * (CASES - number)) for number in chosen]
    return {
        "queue": ["/queue"] * REQUESTS,
        "search, rare word": [f"/search?q={RARE}"] * REQUESTS,
        "search, common word": [f"/search?q={COMMON}s"] * REQUESTS,
        "search, name": [f"/search?q={name}" for name in names],
        "search, part of a reference": [f"/search?q={make_reference(contact)[2:11]}" for contact in contacts],
        "case": [f"/cases/{make_conversation_id(contact, when)}" for contact, when in zip(contacts, at, strict=True)],
    }


async def _measure(http: httpx.AsyncClient, name: str, paths: Sequence[str]) -> Iterator[Measure]:
    waits: list[float] = []
    for path in paths:
        began = time.perf_counter()
        answer = await http.get(path)
        waits.append((time.perf_counter() - began) * 1000)
        answer.raise_for_status()
    shares = (("p50", 0.5), ("p95", 0.95), ("max", 1.0))
    return iter(
        [Measure("desk", f"{name}, {share_name}", "ms", percentile(waits, share)) for share_name, share in shares]
    )


async def _measure_streams(stack: Stack, http: httpx.AsyncClient) -> list[Measure]:
    """How long after an agent's click the queue of each of the other agents of the department shows it."""
    clients = [httpx.AsyncClient(base_url=stack.url("desk"), timeout=60) for _ in range(AGENTS)]
    for number, client in enumerate(clients):
        await log_in(client, f"Agent {number}")
    seen: asyncio.Queue[float] = asyncio.Queue()
    address = re.search(r'data-events="([^"]+)"', (await http.get("/queue")).text)
    streams = [
        asyncio.create_task(_follow(client, unescape(address[1]) if address else "", seen)) for client in clients
    ]
    for _ in streams:  # what stands on the page now
        await seen.get()
    waits: list[float] = []
    for _ in range(CHANGES):
        page = (await http.get("/queue")).text
        case = re.findall(r'href="/cases/([0-9a-f-]{36})', page)[0]
        shown = (await http.get(f"/cases/{case}")).text
        hidden = dict(re.findall(r'name="(_csrf|version)" value="([^"]+)"', shown))
        await asyncio.sleep(1)
        began = time.perf_counter()
        if (answer := await http.post(f"/cases/{case}/close", data=hidden)).status_code != 303:
            raise Incomplete([], [f"the desk did not close {case}: {answer.status_code}"])
        waits += [await seen.get() - began for _ in streams]
    for stream in streams:
        stream.cancel()
    await asyncio.gather(*streams, return_exceptions=True)
    for client in clients:
        await client.aclose()
    shares = (("p50", 0.5), ("p95", 0.95), ("max", 1.0))
    return [
        Measure("desk", f"change seen by {AGENTS} agents, {name}", "s", percentile(waits, share))
        for name, share in shares
    ]


async def _follow(http: httpx.AsyncClient, address: str, seen: asyncio.Queue[float]) -> None:
    async with http.stream("GET", address) as answer:
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                seen.put_nowait(time.perf_counter())


async def _table_scans(stack: Stack) -> int:
    """The number of scans from end to end that PostgreSQL counts for the large tables."""
    await asyncio.sleep(2)  # its backends report once a second
    connection = await asyncpg.connect(stack.env["PARVIS_DATABASE_URL"].replace("+asyncpg", ""))
    query = "select sum(seq_scan)::int from pg_stat_user_tables where schemaname = 'desk' and relname = any($1)"
    scans = await connection.fetchval(query, list(_TABLES))
    await connection.close()
    return scans


BENCH = Bench(f"the desk's pages over {CASES:,} cases and {CASES * MESSAGES_OF_CASE:,} messages", run)
