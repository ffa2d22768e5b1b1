"""What the departments' topics and the deliveries tell, into the desk's cases; a batch is one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass

from parvis.common.bus.consumer import Item
from parvis.common.clock import Clock, now
from parvis.common.delivery import DeliveryUpdated
from parvis.common.directory import Directory
from parvis.common.logs import logger
from parvis.common.routing import ContactRouted, ConversationArrived, ConversationLeft, TransferRefused
from parvis.desk import decide
from parvis.desk.store import (
    Cases,
    add,
    keep_cases,
    known_contacts,
    known_deliveries,
    lock_cases,
    open_cases,
)
from parvis.desk.tables import NO_DATE, Case, Changes, Delivery

log = logger()
TYPES = (ContactRouted, ConversationArrived, ConversationLeft, TransferRefused, DeliveryUpdated)


@dataclass
class Known:
    """What the batch finds in the tables, kept current while it is worked through."""

    cases: dict[str, Case]
    contacts: set[str]
    deliveries: dict[str, Delivery]


@dataclass(frozen=True)
class Clerk:
    """Files what comes.

    Retry:  any batch may come again, in part or whole: contacts are known by their id, moves by their number,
            deliveries by their rank.
    Order:  the highest `sequence` names the department; nothing waits for a gap.
    """

    cases: Cases
    directory: Directory
    clock: Clock = now

    async def handle(self, items: Sequence[Item]) -> None:
        """File a batch of records."""
        async with self.cases.begin() as connection:
            await open_cases(connection, self._shells(items))
            known = Known(
                await lock_cases(connection, _conversations(items)),
                await known_contacts(connection, _contacts(items)),
                await known_deliveries(connection, _deliveries(items)),
            )
            changes = Changes()
            for item in items:
                changes.add(self._file(item, known))
            await add(connection, changes.rows)
            await keep_cases(connection, known.cases.values())
            await self.cases.say(connection, changes.events)

    def _file(self, item: Item, known: Known) -> Changes:
        at = self.clock()
        match item.event:
            case ContactRouted() as event:
                if event.contact.contact_id in known.contacts:
                    return Changes()
                known.contacts.add(event.contact.contact_id)
                case = known.cases[event.routing.conversation_id]
                log.info("case.contacted", conversation_id=case.conversation_id, department=event.routing.department)
                return decide.received(case, event, item.received.value, self.directory, at)
            case ConversationArrived() | ConversationLeft() as event:
                return decide.arrived_or_left(known.cases[event.conversation_id], event, self.directory, at)
            case TransferRefused() as event:
                return Changes(rows=[decide.refused(event)])
            case DeliveryUpdated() as event:
                return self._file_delivery(event, known)
            case _:
                return Changes()

    def _file_delivery(self, event: DeliveryUpdated, known: Known) -> Changes:
        case = known.cases.get(event.conversation_id)
        changes = decide.delivered(case, event, known.deliveries.get(event.delivery_id), self.directory, self.clock())
        for row in changes.rows:
            if isinstance(row, Delivery):
                known.deliveries[row.delivery_id] = row
        return changes

    def _shells(self, items: Sequence[Item]) -> dict[str, Case]:
        """An empty case for each conversation that is told of, in case there is none yet."""
        at = self.clock()
        shells: dict[str, Case] = {}
        for item in items:
            match item.event:
                case ContactRouted(routing=told):
                    department, received_at = told.department, told.received_at
                case ConversationArrived() | ConversationLeft() as told:
                    department, received_at = told.to_department, told.at
                case _:
                    continue
            shell = Case(told.conversation_id, told.reference, department, received_at, at, answer_due_at=NO_DATE)
            shells.setdefault(told.conversation_id, shell)
        return shells


def _conversations(items: Sequence[Item]) -> list[str]:
    found: list[str] = []
    for item in items:
        match item.event:
            case ContactRouted(routing=routing):
                found.append(routing.conversation_id)
            case ConversationArrived() | ConversationLeft() | DeliveryUpdated() as event:
                found.append(event.conversation_id)
            case _:
                continue
    return found


def _contacts(items: Sequence[Item]) -> list[str]:
    return [item.event.contact.contact_id for item in items if isinstance(item.event, ContactRouted)]


def _deliveries(items: Sequence[Item]) -> list[str]:
    return [item.event.delivery_id for item in items if isinstance(item.event, DeliveryUpdated)]
