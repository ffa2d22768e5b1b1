"""What the departments' topics and the deliveries tell, into the desk's cases; a batch is one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.bus.consumer import DecodedRecord
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
from parvis.desk.models.case import NO_DATE, Case, Changes, Contact, Delivery, Placement
from parvis.desk.store.case_transactions import Cases
from parvis.desk.store.case_updates import (
    add,
    contacts_of,
    keep_cases,
    known_contacts,
    known_deliveries,
    known_placements,
    lock_cases,
    open_cases,
    place,
)

log = logger()
TYPES = (
    ContactRouted, ConversationArrived, ConversationLeft, TransferRefused, DeliveryUpdated, ConversationSplit,
    ConversationOpened, SplitRefused, ConversationLinked, ConversationUnlinked, LinkRefused,
)  # fmt: skip
Steps: TypeAlias = ConversationSplit | ConversationOpened | ConversationLinked | ConversationUnlinked


@dataclass
class Known:
    """What the batch finds in the tables, kept current while it is worked through."""

    cases: dict[str, Case]
    contacts: set[str]
    deliveries: dict[str, Delivery]
    placements: dict[str, Placement]  # where splits put contacts of the batch


@dataclass(frozen=True)
class Clerk:
    """Files what comes.

    Retry:  any batch may come again, in part or whole: contacts are known by their id, moves by their number,
            deliveries by their rank.
    Order:  the highest `sequence` names the department; nothing waits for a gap. A contact is where the latest split put it,
            whichever of the two is told first.
    """

    cases: Cases
    town_config: TownConfig
    clock: Clock = now

    async def handle(self, items: Sequence[DecodedRecord]) -> None:
        """File a batch of records."""
        async with self.cases.begin() as connection:
            placements = await known_placements(connection, _contacts(items))
            await open_cases(connection, self._shells(items))
            placed_in = [placement.conversation_id for placement in placements.values()]
            known = Known(
                await lock_cases(connection, [*_conversations(items), *placed_in]),
                await known_contacts(connection, _contacts(items)),
                await known_deliveries(connection, _deliveries(items)),
                placements,
            )
            changes = Changes()
            for item in items:
                changes.add(self._file(item, known))
            await add(connection, changes.rows)
            await self._put_in_place(connection, items, known)
            await keep_cases(connection, known.cases.values())
            await self.cases.say(connection, changes.events)

    async def _put_in_place(self, connection: AsyncConnection, items: Sequence[DecodedRecord], known: Known) -> None:
        """Bring contacts to where splits put them, and show what their cases are about now."""
        moved = [contact for item in items for contact in _moved(item)]
        changed = await place(connection, [*_contacts(items), *moved])
        changed |= {placement.conversation_id for placement in known.placements.values()}
        changed |= {item.event.conversation_id for item in items if isinstance(item.event, ConversationOpened)}
        known.cases |= await lock_cases(connection, changed - known.cases.keys())
        for conversation in sorted(changed & known.cases.keys()):
            apply_split_and_link.refilled(
                known.cases[conversation], await contacts_of(connection, conversation), self.town_config
            )

    def _file(self, item: DecodedRecord, known: Known) -> Changes:
        at = self.clock()
        match item.event:
            case ContactRouted() as event:
                return self._file_contact(event, item.record.value, known, at)
            case ConversationSplit() | ConversationOpened() | ConversationLinked() | ConversationUnlinked() as event:
                return self._file_step(event, known, at)
            case ConversationArrived() | ConversationLeft() as event:
                return apply_events.arrived_or_left(known.cases[event.conversation_id], event, self.town_config, at)
            case TransferRefused() | SplitRefused() | LinkRefused() as event:
                return _refused(event)
            case DeliveryUpdated() as event:
                return self._file_delivery(event, known)
            case _:
                return Changes()

    def _file_contact(self, event: ContactRouted, routed: bytes, known: Known, at: datetime) -> Changes:
        contact, routing = event.contact, event.routing
        if contact.contact_id in known.contacts:
            return Changes()
        known.contacts.add(contact.contact_id)
        log.info("case.contacted", conversation_id=routing.conversation_id, department=routing.department)
        if placed := known.placements.get(contact.contact_id):
            row = Contact(
                contact.contact_id, placed.conversation_id, placed.sequence, contact.reference, routing.decided_at, routed
            )  # fmt: skip
            return Changes(rows=[row])
        return apply_events.received(known.cases[routing.conversation_id], event, routed, self.town_config, at)

    def _file_step(self, event: Steps, known: Known, at: datetime) -> Changes:
        case = known.cases[event.conversation_id]
        match event:
            case ConversationSplit():
                return apply_split_and_link.split_off(case, event)
            case ConversationOpened():
                return apply_split_and_link.opened(case, event, self.town_config, at)
            case ConversationLinked() | ConversationUnlinked():
                return apply_split_and_link.linked(case, event)

    def _file_delivery(self, event: DeliveryUpdated, known: Known) -> Changes:
        case = known.cases.get(event.conversation_id)
        changes = apply_events.delivered(
            case, event, known.deliveries.get(event.delivery_id), self.town_config, self.clock()
        )
        for row in changes.rows:
            if isinstance(row, Delivery):
                known.deliveries[row.delivery_id] = row
        return changes

    def _shells(self, items: Sequence[DecodedRecord]) -> dict[str, Case]:
        """An empty case for each conversation that is told of, in case there is none yet."""
        at = self.clock()
        shells: dict[str, Case] = {}
        for item in items:
            match item.event:
                case ContactRouted(routing=told):
                    department, received_at = told.department, told.received_at
                case ConversationArrived() | ConversationLeft() as told:
                    department, received_at = told.to_department, told.at
                case ConversationOpened() as told:
                    department, received_at = told.department, told.received_at
                case ConversationSplit() | ConversationLinked() | ConversationUnlinked() as told:
                    department, received_at = told.department, told.at
                case _:
                    continue
            shell = Case(told.conversation_id, told.reference, department, received_at, at, answer_due_at=NO_DATE)
            shells.setdefault(told.conversation_id, shell)
        return shells


def _conversations(items: Sequence[DecodedRecord]) -> list[str]:
    found: list[str] = []
    for item in items:
        match item.event:
            case ContactRouted(routing=routing):
                found.append(routing.conversation_id)
            case ConversationOpened() as event:
                found += [event.conversation_id, event.out_of_conversation]
            case ConversationSplit() as event:
                found += [event.conversation_id, event.into_conversation]
            case (
                ConversationArrived()
                | ConversationLeft()
                | ConversationLinked()
                | ConversationUnlinked()
                | DeliveryUpdated() as event
            ):
                found.append(event.conversation_id)
            case _:
                continue
    return found


def _contacts(items: Sequence[DecodedRecord]) -> list[str]:
    return [item.event.contact.contact_id for item in items if isinstance(item.event, ContactRouted)]


def _refused(event: TransferRefused | SplitRefused | LinkRefused) -> Changes:
    if isinstance(event, TransferRefused):
        return Changes(rows=[apply_events.refused(event)])
    return apply_split_and_link.division_refused(event)


def _moved(item: DecodedRecord) -> Sequence[str]:
    return item.event.contact_ids if isinstance(item.event, ConversationOpened | ConversationSplit) else ()


def _deliveries(items: Sequence[DecodedRecord]) -> list[str]:
    return [item.event.delivery_id for item in items if isinstance(item.event, DeliveryUpdated)]
