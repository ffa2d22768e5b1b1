"""Carries out departments' requests to transfer, split or link conversations, or refuses them, under row locks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.bus.cloudevents import DecodedRecord
from parvis.common.contract.contact import ClaimCheck, ContactId
from parvis.common.contract.routing.conversation_history import History, PastContact
from parvis.common.contract.routing.split_and_link import LinkRequested, SplitRequested
from parvis.common.contract.routing.transfer import TransferRequested
from parvis.common.runtime import clock
from parvis.common.runtime.logs import logger
from parvis.common.storage.blobs import BlobStore
from parvis.router.decide.assignment_context import AssignmentContext
from parvis.router.decide.conversation_history import ConversationHistory
from parvis.router.decide.conversation_working_set import parse_uuid
from parvis.router.decide.department_request_rows import DepartmentRequest, decision_id, second_decision_id
from parvis.router.decide.link_and_unlink import link_conversations, link_refusal_reason, refuse_link
from parvis.router.decide.split_conversation import (
    contacts_to_split,
    new_conversation,
    refuse_split,
    split_conversation,
    split_refusal_reason,
)
from parvis.router.decide.transfer_conversation import refuse_transfer, transfer_conversation, transfer_refusal_reason
from parvis.router.models.stored_rows import Conversation, DecisionRow
from parvis.router.store import conversation_history, conversations, decisions

log = logger()

Rows = dict[UUID, DecisionRow]


@dataclass
class _LockedConversations:
    """The locked conversations of a batch of requests; each step replaces the ones it changed."""

    by_id: dict[UUID, Conversation]
    by_reference: dict[str, UUID]

    def of(self, request: DepartmentRequest) -> Conversation | None:
        id_ = parse_uuid(request.conversation_id)
        return self.by_id.get(id_) if id_ else None

    def other(self, request: LinkRequested) -> Conversation | None:
        id_ = self.by_reference.get(request.other_reference)
        return self.by_id.get(id_) if id_ else None


@dataclass(frozen=True)
class RequestDecider:
    """Decides each request once: it is carried out, each step with a sequence number, or refused."""

    context: AssignmentContext
    blobs: BlobStore | None  # None: conversations are transferred without their history
    now: clock.Clock = clock.now

    async def decide(self, connection: AsyncConnection, requests: Sequence[DepartmentRequest]) -> Rows:
        """The rows of all requests, whether stored before or now, with the second rows of splits and links.

        Blobs:  a history is durable before its row is committed; equal histories are one blob.
        Raises: ConcurrentUpdate, when another router decided one of them first; Unavailable, when the blob store fails.
        """
        ids = [id_ for request in requests for id_ in (decision_id(request), second_decision_id(decision_id(request)))]
        rows = await decisions.find_decisions(connection, ids)
        fresh = {decision_id(request): request for request in reversed(requests) if decision_id(request) not in rows}
        if not fresh:
            return rows
        locked = await self._lock(connection, fresh.values())
        for id_ in dict.fromkeys(decision_id(request) for request in requests):
            if id_ in fresh:
                new = await self._decide(connection, fresh[id_], locked)
                rows |= {row.id: row for row in new}
                _log_decision(new[0])
        return rows

    async def _lock(self, connection: AsyncConnection, requests: Iterable[DepartmentRequest]) -> _LockedConversations:
        requests = list(requests)
        references = {request.other_reference for request in requests if isinstance(request, LinkRequested)}
        by_reference = await conversation_history.find_by_references(connection, sorted(references))
        ids = {id_ for request in requests if (id_ := parse_uuid(request.conversation_id))} | set(by_reference.values())
        return _LockedConversations(await conversations.lock_conversations(connection, sorted(ids)), by_reference)

    async def _decide(
        self, connection: AsyncConnection, request: DepartmentRequest, locked: _LockedConversations
    ) -> Sequence[DecisionRow]:
        conversation = locked.of(request)
        past = (
            await conversation_history.read_history(connection, conversation.id)
            if conversation
            else ConversationHistory()
        )
        match request:
            case TransferRequested():
                rows, changed = await self._transfer(request, conversation, past)
            case SplitRequested():
                rows, changed = await self._split(connection, request, conversation, past)
            case LinkRequested():
                rows, changed = self._link(request, conversation, locked.other(request), past)
        if not isinstance(request, SplitRequested):  # a split stores its own rows: references move after them
            await decisions.insert_decisions(connection, rows, changed)
        locked.by_id |= {conversation.id: conversation for conversation in changed}
        return rows

    async def _transfer(
        self, request: TransferRequested, conversation: Conversation | None, past: ConversationHistory
    ) -> tuple[Sequence[DecisionRow], Sequence[Conversation]]:
        at = self.now()
        why = transfer_refusal_reason(request, conversation, self.context.town_config)
        if why or conversation is None:
            return [refuse_transfer(request, conversation, why or "unknown conversation", at=at)], []
        claim = await self._store_history(conversation, past)
        row, moved = transfer_conversation(request, conversation, past, self.context, history=claim, at=at)
        return [row], [moved]

    async def _split(
        self,
        connection: AsyncConnection,
        request: SplitRequested,
        conversation: Conversation | None,
        past: ConversationHistory,
    ) -> tuple[Sequence[DecisionRow], Sequence[Conversation]]:
        town_config, at = self.context.town_config, self.now()
        why = split_refusal_reason(request, conversation, past, town_config)
        if why or conversation is None:
            refusal = refuse_split(request, conversation, why or "unknown conversation", at=at)
            await decisions.insert_decisions(connection, [refusal], [])
            return [refusal], []
        contacts = contacts_to_split(request, past)
        new = new_conversation(request, contacts, town_config)
        claim = await self._store_history(new, past, contacts)
        split = split_conversation(request, conversation, new, past, self.context, history=claim, at=at)
        changed = sorted((split.conversation, split.new), key=lambda conversation: conversation.id)
        await decisions.insert_decisions(connection, split.rows, changed)
        await conversation_history.reassign_references(
            connection, split, original_reference=conversation.reference, seed=decision_id(request)
        )
        return split.rows, changed

    def _link(
        self,
        request: LinkRequested,
        conversation: Conversation | None,
        other: Conversation | None,
        past: ConversationHistory,
    ) -> tuple[Sequence[DecisionRow], Sequence[Conversation]]:
        at = self.now()
        why = link_refusal_reason(request, conversation, other, past)
        if why or conversation is None or other is None:
            return [refuse_link(request, conversation, why or "unknown conversation", at=at)], []
        linked = link_conversations(request, conversation, other, at=at)
        return linked.rows, sorted(linked.conversations, key=lambda conversation: conversation.id)

    async def _store_history(
        self, conversation: Conversation, past: ConversationHistory, contacts: Sequence[PastContact] | None = None
    ) -> ClaimCheck | None:
        if self.blobs is None:
            return None
        content = past.encode(conversation, contacts)
        return await self.blobs.put(ContactId(str(conversation.id)), content, History.MEDIA_TYPE)


def requests_of(items: Iterable[DecodedRecord]) -> list[tuple[DecodedRecord, DepartmentRequest]]:
    """The departments' requests of a batch, each with its record."""
    kinds = (TransferRequested, SplitRequested, LinkRequested)
    return [(item, item.event) for item in items if isinstance(item.event, kinds)]


def _log_decision(row: DecisionRow) -> None:
    outcome, kind = ("refused", "asked") if row.kind == "refusal" else ("done", row.kind)
    log.info(
        "department-request.decided",
        conversation_id=str(row.conversation_id),
        sequence=row.sequence,
        kind=kind,
        outcome=outcome,
    )
