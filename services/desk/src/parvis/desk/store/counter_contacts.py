"""Registers a visit or a call: stores its original, its contact, and the event in the outbox."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime

from parvis.common.contract.contact import ClaimCheck, make_contact_id
from parvis.common.contract.errors import Poison, Rejected, Unavailable
from parvis.common.contract.find_addressee import KNOWN_CASE
from parvis.common.contract.references import find_references
from parvis.common.runtime import metrics
from parvis.common.runtime.logs import logger
from parvis.common.storage.blobs import BlobStore
from parvis.common.town.models import TownConfig
from parvis.desk.decide.access_rights import may, scope_of
from parvis.desk.decide.counter_contact import CounterForm, VisitedCase, canonical_bytes, make_counter_contact
from parvis.desk.models.accounts import ConfidentialCases, DeskUser
from parvis.desk.models.case import Agent, CounterContact
from parvis.desk.store.accounts import find_case_by_reference, read_case_facts
from parvis.desk.store.case_transactions import CaseStore
from parvis.desk.store.single_case_queries import read_counter_contact

log = logger()


@dataclass(frozen=True)
class CounterContacts:
    """Registers visits and calls."""

    cases: CaseStore
    blobs: BlobStore
    town_config: TownConfig
    confidential: ConfidentialCases
    hashing_key: bytes

    async def register(
        self,
        form: CounterForm,
        agent: Agent,
        *,
        seed: str,
        at: datetime,
        by: DeskUser,
        case: VisitedCase | None = None,
    ) -> CounterContact:
        """Register one visit or call.

        Shape:  case, the one from whose page the form was opened; by, the person or program whose rights count.

        Gives:  the registered contact, once it is committed; Kafka may be down.
        Raises: Rejected, with the key of the missing or invalid field, or `sent_before`, when the seed stands for another
                visit already; Unavailable.
        Retry:  the same seed and content give the same contact.
        """
        content = canonical_bytes(form, agent)
        contact_id = make_contact_id("counter", agent.department, f"{seed}.{hashlib.sha256(content).hexdigest()}")
        claim = await self.blobs.put(contact_id, content, "application/json")
        contact = make_counter_contact(
            form, contact_id=contact_id, agent=agent, original=claim, conversation=case.conversation_id if case else None,
            town_config=self.town_config, hashing_key=self.hashing_key, at=at,
        )  # fmt: skip
        if await self._knows_case(by, form, case):
            contact = contact.model_copy(update={"remarks": (KNOWN_CASE,)})
        row = CounterContact(
            seed, contact_id, contact.reference, agent.department, agent.name, at,
            to_department=case.department if case else None if form.reference.strip() else contact.to, case_reference=case.reference if case else None,
            original=claim.model_dump(mode="json"),
        )  # fmt: skip
        registered = await self.cases.add_counter_contact(row, contact, agent.account_id)
        if registered is None:
            earlier = await self._earlier(agent.department, seed)
            if earlier is not None and earlier.contact_id != contact_id:
                raise Rejected("sent_before")
            return earlier or row
        metrics.contacts_received.labels(contact.channel).inc()
        log.info("contact.received", contact_id=contact_id, channel=contact.channel, size_bytes=len(content))
        return registered

    async def _knows_case(self, user: DeskUser, form: CounterForm, case: VisitedCase | None) -> bool:
        """Whether the user may read the case that they came from or quote: only then do they know whom they have before them."""
        quoted = next(iter(find_references(form.reference)), None)
        async with self.cases.database.transaction() as connection:
            if case is None or quoted not in (None, case.reference):
                conversation = await find_case_by_reference(connection, quoted) if quoted else None
            else:
                conversation = case.conversation_id
            facts = await read_case_facts(connection, conversation) if conversation else None
        return facts is not None and may(user, "case.read", scope_of(self.confidential, *facts, conversation or ""))

    async def read_form(self, registered: CounterContact) -> CounterForm | None:
        """The form of a registered contact as it was typed. None if it is not kept any more, or cannot be read now."""
        if registered.original is None:
            return None
        try:
            content = json.loads(await self.blobs.get(ClaimCheck.model_validate(registered.original)))
            return CounterForm(**{name: content[name] for name in CounterForm.__dataclass_fields__ if name in content})
        except (Unavailable, Poison, ValueError, TypeError) as error:
            log.warning("counter-receipt.incomplete", contact_id=registered.contact_id, reason=type(error).__name__)
            return None

    async def _earlier(self, department: str, seed: str) -> CounterContact | None:
        async with self.cases.database.transaction() as connection:
            return await read_counter_contact(connection, department, seed)
