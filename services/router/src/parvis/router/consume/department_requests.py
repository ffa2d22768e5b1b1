"""Wishes to transfer, split or link in, their decision rows out: done or refused, under the conversations' locks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.bus.consumer import DecodedRecord
from parvis.common.contract.contact import ClaimCheck, ContactId
from parvis.common.contract.routing.history import History, PastContact
from parvis.common.contract.routing.split_and_link import LinkRequested, SplitRequested
from parvis.common.contract.routing.transfer import TransferRequested
from parvis.common.runtime import clock
from parvis.common.runtime.logs import logger
from parvis.common.storage.blobs import BlobStore
from parvis.router import store
from parvis.router.decide.assignment import AssignmentContext
from parvis.router.decide.conversation_history import ConversationHistory
from parvis.router.decide.find_conversation import parse_uuid
from parvis.router.decide.link_conversations import link_conversations, link_refusal_reason, refuse_link
from parvis.router.decide.request_rows import DepartmentRequest, decision_id, second_decision_id
from parvis.router.decide.split_conversation import (
    contacts_to_split,
    new_conversation,
    refuse_split,
    split_conversation,
    split_refusal_reason,
)
from parvis.router.decide.transfer_conversation import refuse_transfer, transfer_conversation, transfer_refusal_reason
from parvis.router.models.stored_rows import Conversation, DecisionRow

log = logger()

Rows = dict[UUID, DecisionRow]
WISHES = (TransferRequested, SplitRequested, LinkRequested)


@dataclass
class _Locked:
    """The conversations that a batch of wishes names, their rows locked."""

    conversations: dict[UUID, Conversation]
    by_reference: dict[str, UUID]

    def of(self, wish: DepartmentRequest) -> Conversation | None:
        key = parse_uuid(wish.conversation_id)
        return self.conversations.get(key) if key else None

    def other(self, wish: LinkRequested) -> Conversation | None:
        key = self.by_reference.get(wish.other_reference)
        return self.conversations.get(key) if key else None


@dataclass(frozen=True)
class Wishes:
    """Does what departments ask about conversations: one number a step, each told once."""

    placing: AssignmentContext
    blobs: BlobStore | None
    now: clock.Clock

    async def decide(self, connection: AsyncConnection, wishes: Sequence[DepartmentRequest]) -> Rows:
        """The rows of every wish, stored before or stored now; the second row of a split or link among them.

        Blobs:  a history is durable before its row is committed; the same past is the same blob.
        Raises: Overtaken, when another router decided one of them first; Unavailable, when the blob store does not answer.
        """
        keys = [key for wish in wishes for key in (decision_id(wish), second_decision_id(decision_id(wish)))]
        rows = await store.find_decisions(connection, keys)
        fresh = {decision_id(wish): wish for wish in reversed(wishes) if decision_id(wish) not in rows}
        if not fresh:
            return rows
        locked = await self._lock(connection, fresh.values())
        for key in dict.fromkeys(decision_id(wish) for wish in wishes):
            if key in fresh:
                new = await self._one(connection, fresh[key], locked)
                rows |= {row.id: row for row in new}
                _tell(new[0])
        return rows

    async def _lock(self, connection: AsyncConnection, wishes: Iterable[DepartmentRequest]) -> _Locked:
        wishes = list(wishes)
        references = {wish.other_reference for wish in wishes if isinstance(wish, LinkRequested)}
        by_reference = await store.find_by_references(connection, sorted(references))
        ids = {key for wish in wishes if (key := parse_uuid(wish.conversation_id))} | set(by_reference.values())
        return _Locked(await store.lock_conversations(connection, sorted(ids)), by_reference)

    async def _one(
        self, connection: AsyncConnection, wish: DepartmentRequest, locked: _Locked
    ) -> Sequence[DecisionRow]:
        conversation = locked.of(wish)
        past = await store.read_history(connection, conversation.id) if conversation else ConversationHistory()
        match wish:
            case TransferRequested():
                return await self._transfer(connection, wish, conversation, past)
            case SplitRequested():
                return await self._split(connection, wish, conversation, past)
            case LinkRequested():
                return await self._link(connection, wish, conversation, past, locked.other(wish))

    async def _transfer(
        self,
        connection: AsyncConnection,
        wish: TransferRequested,
        conversation: Conversation | None,
        past: ConversationHistory,
    ) -> Sequence[DecisionRow]:
        town_config, at = self.placing.town_config, self.now()
        why = transfer_refusal_reason(wish, conversation, town_config)
        if why or conversation is None:
            row = refuse_transfer(wish, conversation, why or "unknown conversation", at=at)
            return await _recorded(connection, row)
        history = await self._history(conversation, past)
        row = transfer_conversation(
            wish, conversation, past, town_config, self.placing.calendar, history=history, at=at
        )
        return await _recorded(connection, row, conversations=[conversation])

    async def _split(
        self,
        connection: AsyncConnection,
        wish: SplitRequested,
        conversation: Conversation | None,
        past: ConversationHistory,
    ) -> Sequence[DecisionRow]:
        town_config, at = self.placing.town_config, self.now()
        why = split_refusal_reason(wish, conversation, past, town_config)
        if why or conversation is None:
            row = refuse_split(wish, conversation, why or "unknown conversation", at=at)
            return await _recorded(connection, row)
        contacts = contacts_to_split(wish, past)
        made = new_conversation(wish, contacts, town_config)
        history = await self._history(made, past, contacts)
        done = split_conversation(
            wish, conversation, made, past, town_config, self.placing.calendar, history=history, at=at
        )
        rows = await _recorded(connection, *done.rows, conversations=[conversation, made])
        await store.reassign_references(connection, done, kept=conversation.reference, seed=decision_id(wish))
        return rows

    async def _link(
        self,
        connection: AsyncConnection,
        wish: LinkRequested,
        conversation: Conversation | None,
        past: ConversationHistory,
        other: Conversation | None,
    ) -> Sequence[DecisionRow]:
        at = self.now()
        why = link_refusal_reason(wish, conversation, other, past)
        if why or conversation is None or other is None:
            row = refuse_link(wish, conversation, why or "unknown conversation", at=at)
            return await _recorded(connection, row)
        return await _recorded(
            connection, *link_conversations(wish, conversation, other, at=at), conversations=[conversation, other]
        )

    async def _history(
        self, conversation: Conversation, past: ConversationHistory, contacts: Sequence[PastContact] | None = None
    ) -> ClaimCheck | None:
        if self.blobs is None:
            return None
        content = past.encode(conversation, contacts)
        return await self.blobs.put(ContactId(str(conversation.id)), content, History.MEDIA_TYPE)


async def _recorded(
    connection: AsyncConnection, *rows: DecisionRow, conversations: Sequence[Conversation] = ()
) -> Sequence[DecisionRow]:
    """Store one wish's rows at once: the next wish of the batch may be about the same conversation."""
    await store.insert_decisions(connection, rows, sorted(conversations, key=lambda one: one.id))
    return rows


def wishes_in(items: Iterable[DecodedRecord]) -> list[tuple[DecodedRecord, DepartmentRequest]]:
    """The wishes of a batch, each with its record."""
    return [(item, item.event) for item in items if isinstance(item.event, WISHES)]


def _tell(row: DecisionRow) -> None:
    outcome = "refused" if row.kind == "refusal" else "done"
    kind = "asked" if row.kind == "refusal" else row.kind
    log.info(
        "wish.decided", conversation_id=str(row.conversation_id), sequence=row.sequence, kind=kind, outcome=outcome
    )
