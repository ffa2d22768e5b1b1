"""Registers a visit or a call: stores its original, its contact, and the event in the outbox."""

from dataclasses import dataclass
from datetime import datetime

from parvis.common.contract.contact import make_contact_id
from parvis.common.runtime import metrics
from parvis.common.runtime.logs import logger
from parvis.common.storage.blobs import BlobStore
from parvis.common.town.models import TownConfig
from parvis.desk.decide.counter_contact import CounterForm, VisitedCase, canonical_bytes, make_counter_contact
from parvis.desk.models.case import Agent, CounterContact
from parvis.desk.store.case_queries import read_counter_contact
from parvis.desk.store.case_transactions import CaseStore

log = logger()


@dataclass(frozen=True)
class CounterContacts:
    """Registers visits and calls."""

    cases: CaseStore
    blobs: BlobStore
    town_config: TownConfig
    hashing_key: bytes

    async def register(
        self, form: CounterForm, agent: Agent, *, seed: str, at: datetime, case: VisitedCase | None = None
    ) -> CounterContact:
        """Register one visit or call.

        Gives:  the registered contact, once it is committed; Kafka may be down.
        Raises: Rejected, with the key of the missing or invalid field; Unavailable.
        Retry:  the same seed gives the same contact, with the content that was sent first.
        """
        contact_id = make_contact_id("counter", agent.department, seed)
        content = canonical_bytes(form, agent)
        claim = await self.blobs.put(contact_id, content, "application/json")
        contact = make_counter_contact(
            form, contact_id=contact_id, agent=agent, original=claim, conversation=case.conversation_id if case else None,
            town_config=self.town_config, hashing_key=self.hashing_key, at=at,
        )  # fmt: skip
        row = CounterContact(
            seed, contact_id, contact.reference, agent.department, agent.name, at,
            to_department=case.department if case else contact.to, case_reference=case.reference if case else None,
        )  # fmt: skip
        registered = await self.cases.add_counter_contact(row, contact, agent.account_id)
        if registered is None:
            return await self._earlier(agent.department, seed) or row
        metrics.contacts_received.labels(contact.channel).inc()
        log.info("contact.received", contact_id=contact_id, channel=contact.channel, size_bytes=len(content))
        return registered

    async def _earlier(self, department: str, seed: str) -> CounterContact | None:
        async with self.cases.database.transaction() as connection:
            return await read_counter_contact(connection, department, seed)
