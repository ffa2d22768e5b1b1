"""A wish to transfer and the locked conversation in, what is told to both departments out. Pure; no I/O."""

from datetime import datetime
from typing import Literal
from uuid import UUID, uuid5

from parvis.common.directory import Directory
from parvis.common.routing import ConversationArrived, ConversationLeft, TransferRefused, TransferRequested
from parvis.router.tables import Conversation, DecisionRow

_NAMESPACE = UUID("9b1c3f7e-6f52-5a0e-8f51-3c5f0a7f6d10")
Why = Literal["stale", "unknown conversation", "unknown department", "already there"]


def transfer_key(transfer_id: str) -> UUID:
    """The id of a transfer's decision row: an agent's system may name its transfers as it likes."""
    return uuid5(_NAMESPACE, transfer_id.encode("utf-8", "replace").hex())


def transfer(
    wish: TransferRequested, conversation: Conversation | None, directory: Directory, *, at: datetime
) -> DecisionRow:
    """Do or refuse one transfer. A transfer takes one number; `left` and `arrived` both carry it.

    Needs: the conversation's row locked; its department and sequence are changed here.
    """
    wanted = directory.current(wish.to_department)
    why = _why_not(wish, wanted, conversation, directory)
    if why or conversation is None:
        return _refusal(wish, conversation, why or "unknown conversation", at)
    conversation.sequence += 1
    conversation.department = wanted
    left = ConversationLeft(
        conversation_id=wish.conversation_id,
        sequence=conversation.sequence,
        reference=conversation.reference,
        from_department=wish.from_department,
        to_department=wanted,
        reason=wish.reason,
        at=at,
    )
    return DecisionRow(
        id=transfer_key(wish.transfer_id),
        kind="transfer",
        conversation_id=conversation.id,
        sequence=conversation.sequence,
        opens=False,
        value=left.model_dump_json(exclude_none=True),
        decided_at=at,
    )


def arrived(left: ConversationLeft) -> ConversationArrived:
    """The other half of a transfer, for the department that has the conversation now."""
    return ConversationArrived.model_validate(left.model_dump())


def _why_not(
    wish: TransferRequested, wanted: str, conversation: Conversation | None, directory: Directory
) -> Why | None:
    if conversation is None:
        return "unknown conversation"
    if wish.to_department not in directory.departments:
        return "unknown department"
    if conversation.department != wish.from_department:
        return "stale"
    return "already there" if wanted == conversation.department else None


def _refusal(wish: TransferRequested, conversation: Conversation | None, why: Why, at: datetime) -> DecisionRow:
    refused = TransferRefused(
        transfer_id=wish.transfer_id,
        conversation_id=wish.conversation_id,
        from_department=wish.from_department,
        to_department=wish.to_department,
        current_department=conversation.department if conversation else None,
        why=why,
        at=at,
    )
    return DecisionRow(
        id=transfer_key(wish.transfer_id),
        kind="refusal",
        conversation_id=conversation.id if conversation else None,
        sequence=None,
        opens=False,
        value=refused.model_dump_json(exclude_none=True),
        decided_at=at,
    )
