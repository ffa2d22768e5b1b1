"""Changes one case in one transaction: the case, its records, its events in the outbox."""

import uuid
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.bus.cloudevents import Record, build_record
from parvis.common.contract import topics
from parvis.common.contract.contact import ContactReceived, kafka_key
from parvis.common.contract.errors import Rejected
from parvis.common.contract.reply import ReplyRequested
from parvis.common.contract.routing.split_and_link import LinkRequested, SplitRequested
from parvis.common.contract.routing.transfer import TransferRequested
from parvis.common.runtime.clock import now
from parvis.common.storage.outbox import Outbox
from parvis.common.storage.postgres import Database
from parvis.desk.decide.case_version import CaseChanged, CaseVersion
from parvis.desk.models.accounts import AuditRecord
from parvis.desk.models.case import (
    Agent,
    AgentReply,
    Case,
    CaseActionRecord,
    CaseChanges,
    CaseContact,
    CaseRow,
    CounterContact,
    OutgoingEvent,
)
from parvis.desk.store.audit_trail import append_audit
from parvis.desk.store.case_updates import (
    are_stored_alike,
    has_reply,
    insert_rows,
    lock_cases,
    read_brief_contacts,
    update_cases,
)
from parvis.desk.store.draft_files import delete_draft_files
from parvis.desk.store.reply_drafts import delete_draft, save_draft
from parvis.desk.store.search_indexing import index_rows
from parvis.desk.store.single_case_queries import read_case_version

CaseWork = Callable[[Case, Sequence[CaseContact]], CaseChanges]


class CaseNotFound(Rejected):
    """There is no such case in the agent's department."""


@dataclass(frozen=True)
class CaseStore:
    """Changes cases; the pages and the API use `change_case` for every action."""

    database: Database
    outbox: Outbox
    topic_prefix: str

    @asynccontextmanager
    async def begin(self) -> AsyncGenerator[AsyncConnection]:
        """A transaction; the outbox's relay is woken after its commit."""
        async with self.database.transaction() as connection:
            yield connection
        self.outbox.wake()

    async def change_case(
        self, conversation: str, agent: Agent, work: CaseWork, *, seen: CaseVersion | None = None
    ) -> Case:
        """Apply one action to a case of the agent's department.

        Shape:  seen, the version of the case that the agent acts on; None for an action that is right whatever came since.
        Gives:  the case after the action, once it is committed.
        Raises: CaseNotFound, when another department has it; CaseChanged; Rejected, when `work` refuses, and `sent_before`,
                when its idempotency key stands for something else already; DamagedCase.
        Retry:  idempotent: if all rows of the action exist already, nothing is written or published.
        """
        async with self.begin() as connection:
            return await self.change_within(connection, conversation, agent, work, seen=seen)

    async def change_within(
        self,
        connection: AsyncConnection,
        conversation: str,
        agent: Agent,
        work: CaseWork,
        *,
        seen: CaseVersion | None = None,
        keeps_draft: bool = False,
    ) -> Case:
        """`change_case` within a transaction that the caller began with `begin`.

        Shape:  keeps_draft, for an answer that was not written on the case's own page.
        """
        case = (await lock_cases(connection, [conversation])).get(conversation)
        if case is None or case.department != agent.department:
            raise CaseNotFound("case")
        version = await read_case_version(connection, conversation) if seen else None
        changes = work(case, await read_brief_contacts(connection, conversation))
        if changes.rows and not await insert_rows(connection, changes.rows):
            if not await are_stored_alike(connection, changes.rows):
                raise Rejected("sent_before")
            return case
        if not changes.rows and changes.case is None:  # it is so already
            return case
        if seen and version != seen:
            raise CaseChanged("case_changed")
        changed = changes.case or case
        await update_cases(connection, [changed])
        await index_rows(connection, changes.rows, [conversation])
        if not keeps_draft and any(_answers(row) for row in changes.rows):
            await delete_draft(connection, conversation, agent)
            sent = [file["file_id"] for row in changes.rows if isinstance(row, AgentReply) for file in row.files]
            await delete_draft_files(connection, conversation, agent, sent)
        await self.add_to_outbox(connection, changes.events)
        await append_audit(connection, _audit_record(agent, changes, conversation))
        return changed

    async def keep_draft(
        self,
        conversation: str,
        agent: Agent,
        fields: Mapping[str, str],
        at: datetime,
        *,
        unless_sent: str | None = None,
    ) -> None:
        """Store what the agent has typed; an empty text deletes the draft.

        Order: a draft that arrives after its answer, whose id is `unless_sent`, changes nothing.
        """
        async with self.database.transaction() as connection:
            if unless_sent and await has_reply(connection, unless_sent):
                return
            if any(fields.get(name, "").strip() for name in ("text", "note", "internal")):
                await save_draft(connection, conversation, agent, fields, at)
            else:
                await delete_draft(connection, conversation, agent)

    async def add_counter_contact(
        self, row: CounterContact, contact: ContactReceived, account_id: str = ""
    ) -> CounterContact | None:
        """Store a contact from the counter and publish it. None if its idempotency key was used before."""
        async with self.begin() as connection:
            if not await insert_rows(connection, [row]):
                return None
            event = build_record(
                contact, topic=topics.CONTACT_RECEIVED.full_name(self.topic_prefix), key=kafka_key(contact),
                event_id=contact.contact_id, source="desk", subject=contact.contact_id,
            )  # fmt: skip
            await self.outbox.add(connection, event)
            written = AuditRecord(now(), account_id, row.agent, "contact.register", row.department, row.contact_id)
            await append_audit(connection, written)
        return row

    async def add_to_outbox(self, connection: AsyncConnection, events: Sequence[OutgoingEvent]) -> None:
        for event in events:
            record = self._build_record(event)
            if isinstance(event, ReplyRequested) and event.send_at > event.requested_at:
                await self.outbox.add_delayed(connection, record, event.reply_id, event.send_at - event.requested_at)
            else:
                await self.outbox.add(connection, record)

    def _build_record(self, event: OutgoingEvent) -> Record:
        match event:
            case ReplyRequested():
                topic, event_id = topics.REPLY_REQUESTED, str(event.reply_id)
            case TransferRequested():
                topic, event_id = topics.TRANSFER_REQUESTED, f"{event.transfer_id}.{event.TYPE}"
            case SplitRequested():
                topic, event_id = topics.TRANSFER_REQUESTED, f"{event.split_id}.{event.TYPE}"
            case LinkRequested():
                topic, event_id = topics.TRANSFER_REQUESTED, f"{event.link_id}.{event.TYPE}"
            case _:
                topic, event_id = topics.CASE_UPDATED, str(uuid.uuid4())
        return build_record(
            event, topic=topic.full_name(self.topic_prefix), key=event.conversation_id,
            event_id=event_id, source="desk", subject=event.conversation_id,
        )  # fmt: skip


def _audit_record(agent: Agent, changes: CaseChanges, conversation: str) -> AuditRecord:
    """Who changed which case, and the kinds of what was added to it: `taken`, `AgentReply`, never its text."""
    kinds = [row.kind if isinstance(row, CaseActionRecord) else type(row).__name__ for row in changes.rows]
    return AuditRecord(
        now(), agent.account_id, agent.name, "case.change", agent.department, conversation, " ".join(kinds)
    )


def _answers(row: CaseRow) -> bool:
    """Whether a record says that the agent has answered, by letter or by telephone."""
    return isinstance(row, AgentReply) or (isinstance(row, CaseActionRecord) and row.kind == "called")
