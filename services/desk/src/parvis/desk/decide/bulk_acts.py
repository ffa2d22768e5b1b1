"""Decides what an act on several cases changes in one of them, and what undoing it changes. No I/O."""

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from parvis.common.contract.errors import Rejected
from parvis.desk.decide.apply_agent_actions import (
    ActionContext,
    ReplyInput,
    add_row,
    close_case,
    request_reply,
    take_case,
)
from parvis.desk.decide.case_tags import change_tags, record_tags
from parvis.desk.decide.reply_recipient import find_recipient
from parvis.desk.decide.snooze_and_assign import assign_case, snooze_case
from parvis.desk.models.case import STATES, Case, CaseActionRecord, CaseChanges, CaseContact, ReplyRecipient, State

BULK_KINDS = ("take", "assign", "snooze", "tag", "untag", "close", "reply")
MAX_BULK_CASES = 50
# What concerns the act as a whole, not one of its cases.
FIELD_PROBLEMS = {
    "no_colleague": "assign-to", "unknown_colleague": "assign-to", "colleague_absent": "assign-to", "no_snooze_day": "snooze-until", "no_tag": "tag", "tag_locked": "tag", "no_text": "text", "text_too_long": "text", "open_variable": "text",
}  # fmt: skip


@dataclass(frozen=True)
class BulkAct:
    """One act for several cases. `value` is the colleague, the day, the tag or the text; a form sent twice has the same `bulk_id`.

    Shape:  although_absent, for a colleague of whom the agent knows that they are absent; locked_tags, which no agent changes.
    """

    kind: str
    value: str
    bulk_id: str
    next_state: State = "waiting"
    delay: timedelta = timedelta()  # until an answer leaves
    although_absent: bool = False
    locked_tags: frozenset[str] = frozenset()


def apply_bulk_act(
    case: Case, contacts: Sequence[CaseContact], context: ActionContext, act: BulkAct, recipient: ReplyRecipient | None
) -> CaseChanges:
    """What the act changes in one case, by the same rules as on the case's own page.

    Shape:  recipient, where an answer goes; None for other acts.
    Raises: Rejected, with the key of its sentence, also where the act would change nothing.
    """
    if act.kind == "reply" and recipient is not None:
        return request_reply(case, context, contacts, _answer(act, contacts, recipient))
    if act.kind not in ("reply", "tag", "untag") and case.state == "closed":
        raise Rejected("is_closed")
    match act.kind:
        case "take":
            changes = take_case(case, context)
        case "assign":
            changes = assign_case(case, context, act.value)
        case "snooze":
            changes = snooze_case(case, context, act.value)
        case "tag":
            changes = change_tags(case, context, add=[act.value], locked=act.locked_tags)
        case "untag":
            changes = change_tags(case, context, remove=[act.value], locked=act.locked_tags)
        case "close":
            changes = close_case(case, context)
        case _:
            raise Rejected("no_act")
    if not changes.rows:
        raise Rejected("nothing_to_change")
    return changes


def _answer(act: BulkAct, contacts: Sequence[CaseContact], recipient: ReplyRecipient) -> ReplyInput:
    if recipient.source == "unknown":
        raise Rejected("no_address")
    if recipient.channel == "phone":
        raise Rejected("call_instead")
    usual = find_recipient(contacts)
    is_usual = (usual.channel, usual.address) == (recipient.channel, recipient.address)
    chosen = ("", "") if is_usual else (recipient.channel, recipient.address)
    return ReplyInput(act.value, act.bulk_id, act.next_state, *chosen, delay=act.delay)


def recipient_token(recipient: ReplyRecipient | None) -> str:
    """Stands in a form for the recipient that was shown: an answer leaves for no other."""
    return hashlib.sha256(f"{recipient.channel}\n{recipient.address}".encode()).hexdigest()[:16] if recipient else ""


def state_before(case: Case) -> dict[str, Any]:
    """What undoing an act gives back to a case."""
    snoozed = case.snoozed_until.isoformat() if case.snoozed_until else None
    return {
        "state": case.state, "taken_by": case.taken_by, "undelivered": case.undelivered, "snoozed_until": snoozed, "tags": case.tags,
    }  # fmt: skip


def undo_act(case: Case, context: ActionContext, bulk_id: str, kind: str, before: dict[str, Any]) -> CaseChanges:
    """Give the case back what the act changed in it."""
    tags: list[str] = before.get("tags", case.tags)
    retagged = record_tags(case, context, [
        *(("untagged", tag) for tag in case.tags if tag not in tags), *(("tagged", tag) for tag in tags if tag not in case.tags),
    ])  # fmt: skip
    state = next((state for state in STATES if state == before.get("state")), case.state)
    snoozed = datetime.fromisoformat(before["snoozed_until"]) if before.get("snoozed_until") else None
    restored = replace(
        retagged.case or case, state=state, taken_by=before.get("taken_by"), undelivered=bool(before.get("undelivered")), snoozed_until=snoozed
    )  # fmt: skip
    act_id = uuid.uuid5(uuid.UUID(case.conversation_id), f"undone:{bulk_id}")
    row = CaseActionRecord(str(act_id), case.conversation_id, "undone", context.agent.name, kind, context.at)
    changes = add_row(restored, row, context)
    return replace(changes, rows=[*changes.rows, *retagged.rows])
