"""Projects the departments' topics and the delivery topic onto cases; a batch is one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeAlias

from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.bus.cloudevents import DecodedRecord
from parvis.common.contract.delivery import DeliveryUpdated
from parvis.common.contract.routing.decisions import ContactRouted
from parvis.common.contract.routing.split_and_link import (
    ConversationLinked,
    ConversationOpened,
    ConversationSplit,
    ConversationUnlinked,
    LinkRefused,
    SplitRefused,
)
from parvis.common.contract.routing.transfer import ConversationArrived, ConversationLeft, TransferRefused
from parvis.common.runtime.clock import Clock, now
from parvis.common.runtime.logs import logger
from parvis.common.town.models import TownConfig
from parvis.desk.decide import apply_events, apply_split_and_link
from parvis.desk.decide.case_tags import replay_tags
from parvis.desk.models.case import (
    NO_DATE,
    Case,
    CaseChanges,
    CaseContactRecord,
    CaseRow,
    DeliveryStatus,
    OutgoingEvent,
    SplitPlacement,
)
from parvis.desk.store.case_tags import read_tag_acts
from parvis.desk.store.case_transactions import CaseStore
from parvis.desk.store.case_updates import (
    existing_contact_ids,
    insert_missing_cases,
    insert_rows,
    lock_cases,
    move_contacts,
    read_contacts,
    read_deliveries,
    read_placements,
    update_cases,
)
from parvis.desk.store.search_indexing import index_rows

log = logger()
EVENT_TYPES = (
    ContactRouted, ConversationArrived, ConversationLeft, TransferRefused, DeliveryUpdated, ConversationSplit,
    ConversationOpened, SplitRefused, ConversationLinked, ConversationUnlinked, LinkRefused,
)  # fmt: skip
RelationEvent: TypeAlias = ConversationSplit | ConversationOpened | ConversationLinked | ConversationUnlinked


@dataclass
class BatchState:
    """The stored rows that a batch concerns, updated as its events are applied."""

    cases: dict[str, Case]
    contacts: set[str]
    deliveries: dict[str, DeliveryStatus]
    placements: dict[str, SplitPlacement]  # of contacts in the batch that a split has moved
    late: set[str] = field(default_factory=set[str])  # cases with a contact in the batch that is not their newest


@dataclass(frozen=True)
class CaseProjection:
    """Applies events to cases.

    Retry:  idempotent, for any part of a batch: contacts are identified by their id, transfers by their sequence number,
            deliveries by their rank.
    Order:  the highest `sequence` names the department; gaps are not waited for. A contact belongs to the case to which the
            latest split assigned it, in whatever order the two events arrive. What the queue shows of a case is that of its
            first and its newest contact, in whatever order these arrive.
    Raises: Poison, when the row of a case in the batch cannot be read; the consumer then dead-letters the record at fault.
    """

    cases: CaseStore
    town_config: TownConfig
    clock: Clock = now

    async def handle(self, items: Sequence[DecodedRecord]) -> None:
        """Apply a batch of records in one transaction."""
        async with self.cases.begin() as connection:
            placements = await read_placements(connection, _contacts(items))
            await insert_missing_cases(connection, self._empty_cases(items))
            placed_in = [placement.conversation_id for placement in placements.values()]
            state = BatchState(
                await lock_cases(connection, [*_conversations(items), *placed_in]),
                await existing_contact_ids(connection, _contacts(items)),
                await read_deliveries(connection, _deliveries(items)),
                placements,
            )
            rows: list[CaseRow] = []
            events: list[OutgoingEvent] = []
            for item in items:
                changes = self._apply(item, state)
                if changes.case:
                    state.cases[changes.case.conversation_id] = changes.case
                rows += changes.rows
                events += changes.events
            await insert_rows(connection, rows)
            await self._order_contacts(connection, items, state)
            await update_cases(connection, state.cases.values())
            await index_rows(connection, rows, state.cases, self.town_config)
            await self.cases.add_to_outbox(connection, events)

    async def _order_contacts(
        self, connection: AsyncConnection, items: Sequence[DecodedRecord], state: BatchState
    ) -> None:
        """Move contacts to the cases that splits assigned them to; recompute the summaries of these cases and of those with a late contact."""
        moved = [contact for item in items for contact in _moved(item)]
        changed = await move_contacts(connection, [*_contacts(items), *moved]) | state.late
        changed |= {placement.conversation_id for placement in state.placements.values()}
        changed |= {item.event.conversation_id for item in items if isinstance(item.event, ConversationOpened)}
        state.cases |= await lock_cases(connection, changed - state.cases.keys())
        for conversation in sorted(changed & state.cases.keys()):
            contacts = await read_contacts(connection, conversation)
            summarized = apply_split_and_link.summarize_contacts(state.cases[conversation], contacts, self.town_config)
            tags = replay_tags(summarized.tags, await read_tag_acts(connection, conversation))
            state.cases[conversation] = replace(summarized, tags=tags)

    def _apply(self, item: DecodedRecord, state: BatchState) -> CaseChanges:
        at = self.clock()
        match item.event:
            case ContactRouted() as event:
                return self._apply_contact(event, item.record.value, state, at)
            case ConversationSplit() | ConversationOpened() | ConversationLinked() | ConversationUnlinked() as event:
                return self._apply_relation(event, state, at)
            case ConversationArrived() | ConversationLeft() as event:
                return apply_events.apply_department_change(
                    state.cases[event.conversation_id], event, self.town_config, at
                )
            case TransferRefused() | SplitRefused() | LinkRefused() as event:
                return _refused(event)
            case DeliveryUpdated() as event:
                return self._apply_delivery(event, state)
            case _:
                return CaseChanges()

    def _apply_contact(self, event: ContactRouted, routed: bytes, state: BatchState, at: datetime) -> CaseChanges:
        contact, routing = event.contact, event.routing
        if contact.contact_id in state.contacts:
            return CaseChanges()
        state.contacts.add(contact.contact_id)
        log.info("case.contact_added", conversation_id=routing.conversation_id, department=routing.department)
        if placement := state.placements.get(contact.contact_id):
            row = CaseContactRecord(
                contact.contact_id, placement.conversation_id, placement.sequence, contact.reference, routing.decided_at, routed
            )  # fmt: skip
            return CaseChanges(rows=[row])
        case = state.cases[routing.conversation_id]
        if routing.sequence < case.department_sequence:
            state.late.add(case.conversation_id)
        return apply_events.apply_contact(case, event, routed, self.town_config, at)

    def _apply_relation(self, event: RelationEvent, state: BatchState, at: datetime) -> CaseChanges:
        case = state.cases[event.conversation_id]
        match event:
            case ConversationSplit():
                return apply_split_and_link.apply_split(case, event)
            case ConversationOpened():
                return apply_split_and_link.apply_opening(case, event, self.town_config, at)
            case ConversationLinked() | ConversationUnlinked():
                return apply_split_and_link.apply_link(case, event)

    def _apply_delivery(self, event: DeliveryUpdated, state: BatchState) -> CaseChanges:
        case = state.cases.get(event.conversation_id)
        changes = apply_events.apply_delivery(
            case, event, state.deliveries.get(event.delivery_id), self.town_config, self.clock()
        )
        for row in changes.rows:
            if isinstance(row, DeliveryStatus):
                state.deliveries[row.delivery_id] = row
        return changes

    def _empty_cases(self, items: Sequence[DecodedRecord]) -> dict[str, Case]:
        """An empty case for each conversation of the batch, inserted where none exists."""
        at = self.clock()
        empty_cases: dict[str, Case] = {}
        for item in items:
            match item.event:
                case ContactRouted(routing=event):
                    department, received_at = event.department, event.received_at
                case ConversationArrived() | ConversationLeft() as event:
                    department, received_at = event.to_department, event.at
                case ConversationOpened() as event:
                    department, received_at = event.department, event.received_at
                case ConversationSplit() | ConversationLinked() | ConversationUnlinked() as event:
                    department, received_at = event.department, event.at
                case _:
                    continue
            empty_case = Case(
                event.conversation_id, event.reference, department, received_at, at, answer_due_at=NO_DATE
            )
            empty_cases.setdefault(event.conversation_id, empty_case)
        return empty_cases


def _conversations(items: Sequence[DecodedRecord]) -> list[str]:
    conversations: list[str] = []
    for item in items:
        match item.event:
            case ContactRouted(routing=routing):
                conversations.append(routing.conversation_id)
            case ConversationOpened() as event:
                conversations += [event.conversation_id, event.out_of_conversation]
            case ConversationSplit() as event:
                conversations += [event.conversation_id, event.into_conversation]
            case (
                ConversationArrived()
                | ConversationLeft()
                | ConversationLinked()
                | ConversationUnlinked()
                | DeliveryUpdated() as event
            ):
                conversations.append(event.conversation_id)
            case _:
                continue
    return conversations


def _contacts(items: Sequence[DecodedRecord]) -> list[str]:
    return [item.event.contact.contact_id for item in items if isinstance(item.event, ContactRouted)]


def _refused(event: TransferRefused | SplitRefused | LinkRefused) -> CaseChanges:
    if isinstance(event, TransferRefused):
        return CaseChanges(rows=[apply_events.apply_transfer_refusal(event)])
    return apply_split_and_link.apply_refusal(event)


def _moved(item: DecodedRecord) -> Sequence[str]:
    return item.event.contact_ids if isinstance(item.event, ConversationOpened | ConversationSplit) else ()


def _deliveries(items: Sequence[DecodedRecord]) -> list[str]:
    return [item.event.delivery_id for item in items if isinstance(item.event, DeliveryUpdated)]
