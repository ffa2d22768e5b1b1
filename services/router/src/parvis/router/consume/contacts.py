"""Contacts of a batch in, their decisions out: stored at once where they surely open a conversation, else under its lock."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NoReturn

from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.bus.cloudevents import ReceivedRecord
from parvis.common.bus.consumer import DecodedRecord
from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.errors import Poison
from parvis.common.contract.msgspec_models import encode_json
from parvis.common.runtime import clock
from parvis.common.storage.postgres import Database
from parvis.common.text.language import detect_language
from parvis.router import store
from parvis.router.consume.conversations import Conversations, tell
from parvis.router.consume.mail import Arrival, Decided
from parvis.router.decide import Marks, Placing, came_of, decide, marks_of, names_another, opening, uuid_of
from parvis.router.rules.rule_set import RuleSet

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")


@dataclass(frozen=True)
class Contacts:
    """Decides contacts: by the rules first, then in their conversations."""

    rules: Callable[[], RuleSet]
    placing: Placing
    now: clock.Clock

    @cached_property
    def conversations(self) -> Conversations:
        return Conversations(self.placing, self.arrival_of, self.now)

    def arrivals(self, items: Sequence[DecodedRecord]) -> list[Arrival]:
        """What the rules say about each contact of a batch.

        Raises: Poison, for a contact whose id is none.
        """
        rules = self.rules()
        return [self._arrival(item, rules) for item in items if item.event.TYPE == ContactReceived.TYPE]

    async def open(self, database: Database, arrivals: Sequence[Arrival]) -> dict[str, Decided]:
        """Decide and store those that surely open a conversation; gives nothing for those that may not, or were decided before."""
        at, opened, rows = self.now(), dict[str, Decided](), list[store.Opening]()
        for arrival in _surely_opening(arrivals):
            routing = opening(arrival.contact, arrival.decision, self.placing, at=at)
            opened[arrival.key] = one = Decided(routing, encode_json(routing), opens=True)
            rows.append(_opening(arrival, one, marks_of(arrival.contact, self.placing.key)))
        if rows:
            windowed = self.placing.windows.by_sender
            async with database.autocommit() as connection:
                for key in await store.open_conversations(connection, rows, windowed, at=at):
                    del opened[key]
            tell(opened)
        return opened

    async def decide(self, connection: AsyncConnection, arrivals: Sequence[Arrival]) -> dict[str, Decided]:
        """The decision about every arrival, stored before or stored now, whatever it belongs to; none about those that wait."""
        return await self.conversations.decide(connection, arrivals)

    def arrival_of(self, received: ReceivedRecord) -> Arrival:
        """One record, read and decided by the rules. Raises: Poison."""
        return self._arrival(
            DecodedRecord(received.event((ContactReceived,), fast_models=(ContactReceived,)), received), self.rules()
        )

    def _arrival(self, item: DecodedRecord, rules: RuleSet) -> Arrival:
        contact: ContactReceived = item.event  # pyright: ignore[reportAssignmentType] (or its struct, by its type)
        key = contact.contact_id
        if not _ID.match(key):
            key = str(uuid_of(key) or _no_id())
        language = contact.language or detect_language(contact.personal.text)
        decision = decide(contact, rules, self.placing.town_config, language=language)
        return Arrival(key, contact, item.record, decision)


def _no_id() -> NoReturn:
    raise Poison("the contact id is no UUID")


def _surely_opening(arrivals: Sequence[Arrival]) -> list[Arrival]:
    """Those that name no conversation, each once; of a sender the first, unless an earlier contact may continue."""
    found: dict[str, Arrival] = {}
    wrote: set[str | None] = set()
    for arrival in arrivals:
        contact = arrival.contact
        sender = contact.contact_point_hash
        if names_another(contact):
            wrote.add(sender)
        elif sender is None:
            found.setdefault(arrival.key, arrival)
        elif sender not in wrote:
            wrote.add(sender)
            found.setdefault(arrival.key, arrival)
    return list(found.values())


def _opening(arrival: Arrival, decided: Decided, marks: Marks) -> store.Opening:
    contact, routing = arrival.contact, decided.routing
    return store.Opening(
        arrival.key, routing.conversation_id, contact.reference, routing.department, routing.procedure,
        contact.received_at, decided.value.decode(), came_of(contact), contact.contact_point_hash, contact.channel,
        marks.subject, marks.kept,
    )  # fmt: skip
