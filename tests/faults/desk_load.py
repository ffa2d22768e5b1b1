"""Opens cases at the desk and works them through its API as agents do: each act is repeated until it is confirmed."""

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import httpx

from parvis.common.bus.cloudevents import build_record
from parvis.common.bus.producer import Producer
from parvis.common.contract import topics
from parvis.common.contract.contact import ContactPersonalData, ContactPoint
from parvis.common.contract.routing.decisions import ContactRouted, Routing, make_conversation_id
from parvis.common.runtime.clock import now
from parvis.common.testing import a_contact
from parvis.local.stack import Stack
from tests.patience import PATIENCE_S

DEPARTMENT = "voirie"
_AGAIN_S, _ANSWER_WITHIN_S = 0.2, 15.0


async def open_cases(stack: Stack, numbers: range) -> dict[str, str]:
    """Open cases with a citizen each, as the router's decisions do. Gives the citizen's number by conversation."""
    phones: dict[str, str] = {}
    producer = Producer(stack.kafka, service="test")
    topic = topics.department_topic(DEPARTMENT).full_name(stack.plan.topic_prefix)
    for n in numbers:
        phone = f"+336399{80000 + n}"
        personal = ContactPersonalData.model_validate(
            {"from": ContactPoint(kind="phone", value=phone), "text": "Un trou."}
        )
        contact = a_contact(key=f"desk-load-{n}", personal=personal)
        conversation = make_conversation_id(contact.contact_id, contact.received_at)
        routing = Routing(
            conversation_id=conversation, sequence=1, department=DEPARTMENT, reference=contact.reference, rule="pothole",
            rules_version="v", confidence=1, reason={"fr": "Voirie.", "en": "Roads."}, received_at=contact.received_at, decided_at=now(),
        )  # fmt: skip
        event = ContactRouted(routing=routing, contact=contact)
        record = build_record(event, topic=topic, key=conversation, event_id=contact.contact_id, source="test")
        await producer.send(record)
        phones[conversation] = phone
    await producer.stop()
    return phones


@dataclass
class AgentsAtWork:
    """Agents with a case each, who write notes and answers until they are told to stop.

    ports: of the desks, which they ask in turn. confirmed: the texts whose act a desk confirmed, by kind of act.
    """

    ports: Sequence[int]
    token: str
    confirmed: dict[str, list[str]] = field(default_factory=lambda: {"note": [], "reply": []})
    repeated: int = 0
    refused: list[str] = field(default_factory=list[str])
    is_done: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def count(self) -> int:
        return sum(len(texts) for texts in self.confirmed.values())

    async def work(self, conversations: Sequence[str]) -> None:
        """Work these cases at the same time, from when the desk has them."""
        headers = {"Authorization": f"Bearer {self.token}"}
        async with (
            httpx.AsyncClient(headers=headers, timeout=_ANSWER_WITHIN_S, trust_env=False) as http,
            asyncio.TaskGroup() as group,
        ):
            for conversation in conversations:
                group.create_task(self._work(http, conversation))

    async def wait_for_acts(self, count: int) -> None:
        """Wait until so many more acts are confirmed."""
        wanted = self.count + count
        async with asyncio.timeout(PATIENCE_S):
            while self.count < wanted:
                await asyncio.sleep(0.02)

    async def _work(self, http: httpx.AsyncClient, conversation: str) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while (await http.get(self._url(0, conversation), params={"department": DEPARTMENT})).status_code != 200:
                await asyncio.sleep(0.1)
        number = 0
        while not self.is_done.is_set():
            number += 1
            text = f"{conversation} no {number}"
            await self._confirm(http, conversation, "note", {"kind": "note", "text": text})
            await self._confirm(http, conversation, "reply", {"text": text, "then": "open"})

    async def _confirm(self, http: httpx.AsyncClient, conversation: str, kind: str, more: Mapping[str, str]) -> None:
        """Do an act. Retry: with the same key, until a desk confirms it or refuses it for good."""
        body = {"agent": "Dominique Exemple", "department": DEPARTMENT} | dict(more)
        key, attempt = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{kind} {more['text']}")), 0
        while True:
            url, attempt = f"{self._url(attempt, conversation)}/{kind}", attempt + 1
            try:
                answer = await http.post(url, json=body, headers={"Idempotency-Key": key})
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.status_code < 300:
                self.confirmed[kind].append(more["text"])
                return
            if answer is not None and answer.status_code < 500:
                self.refused.append(f"{kind}: {answer.status_code} {answer.text[:80]}")
                return
            self.repeated += 1
            await asyncio.sleep(_AGAIN_S)

    def _url(self, attempt: int, conversation: str) -> str:
        return f"http://127.0.0.1:{self.ports[attempt % len(self.ports)]}/api/v1/cases/{conversation}"
