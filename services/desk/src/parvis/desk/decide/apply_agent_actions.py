"""Decides what an agent's action changes in a case: take, release, close, reopen, reply, call, transfer. No I/O."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from parvis.common.contract.contact import ConversationId, ReplyAddress
from parvis.common.contract.errors import Rejected
from parvis.common.contract.find_addressee import reply_candidates
from parvis.common.contract.normalize_contact_points import (
    email_contact_point,
    phone_contact_point,
    postal_contact_point,
)
from parvis.common.contract.reply import ReplyId, ReplyPersonalData, ReplyRequested, make_reply_id
from parvis.common.contract.routing.transfer import TransferRequested
from parvis.common.text.invisible_characters import remove_invisible_characters
from parvis.common.text.telephone import can_receive_sms
from parvis.common.town.answer_texts import has_open_variable
from parvis.common.town.models import TownConfig
from parvis.common.town.template_variables import standard_variables
from parvis.desk.decide.case_updated import build_case_updated
from parvis.desk.decide.reply_files import check_departure
from parvis.desk.decide.reply_recipient import find_case_addressee, find_recipient, latest_message_id, reply_language
from parvis.desk.models.case import (
    MAX_TEXT_LENGTH,
    Agent,
    AgentReply,
    Case,
    CaseActionRecord,
    CaseChanges,
    CaseContact,
    CaseRow,
    ReplyRecipient,
    State,
    TransferRecord,
)
from parvis.desk.models.outgoing_file import OutgoingFile

_PARSERS = {
    "sms": phone_contact_point,
    "phone": phone_contact_point,
    "email": email_contact_point,
    "post": postal_contact_point,
}


@dataclass(frozen=True)
class ActionContext:
    """Who acts, when, and in which town. `may_read`: whether the rights of whoever acts open a case as it would become."""

    agent: Agent
    town_config: TownConfig
    at: datetime
    may_read: Callable[[Case], bool] = lambda _: True


@dataclass(frozen=True)
class AgentTextInput:
    """An agent's text, and the state of the case afterwards. A form sent twice has the same idempotency key."""

    text: str
    idempotency_key: str
    next_state: State = "waiting"


@dataclass(frozen=True)
class ReplyInput(AgentTextInput):
    """A reply. `channel` and `address` are empty unless the agent chose others than the citizen's."""

    channel: str = ""
    address: str = ""
    delay: timedelta = timedelta()  # until it leaves; meanwhile it can be withdrawn
    files: tuple[OutgoingFile, ...] = ()


def take_case(case: Case, context: ActionContext) -> CaseChanges:
    """Assign the case to the agent, also when a colleague has it; the timeline shows it."""
    if case.taken_by == context.agent.name and case.state == "open":
        return CaseChanges()
    return record_action(replace(case, taken_by=context.agent.name, state="open", snoozed_until=None), "taken", context)


def release_case(case: Case, context: ActionContext) -> CaseChanges:
    if case.taken_by is None:
        return CaseChanges()
    return record_action(replace(case, taken_by=None), "released", context)


def close_case(case: Case, context: ActionContext) -> CaseChanges:
    if case.state == "closed":
        return CaseChanges()
    return record_action(replace(case, state="closed", undelivered=False, snoozed_until=None), "closed", context)


def reopen_case(case: Case, context: ActionContext) -> CaseChanges:
    if case.state == "open":
        return CaseChanges()
    return record_action(replace(case, state="open"), "reopened", context)


def request_reply(
    case: Case, context: ActionContext, contacts: Sequence[CaseContact], answer: ReplyInput
) -> CaseChanges:
    """Ask the notifier to send a reply.

    Raises: Rejected, with the key of its sentence: no text, text too long, an open variable, no address, an invalid address, one that
            takes no SMS, the town's own, those of
            `check_departure`; `call_instead`, when the citizen asked to be called.
    Retry:  the same idempotency key gives the same reply.
    """
    text, target = checked_text(answer), _recipient(answer, contacts, context.town_config)
    if has_open_variable(text):
        raise Rejected("open_variable")
    check_departure(answer.files, target.channel)
    reply_id = make_reply_id("desk", case.conversation_id, answer.idempotency_key)
    row = AgentReply(
        reply_id,
        case.conversation_id,
        context.agent.name,
        case.department,
        target.channel,
        target.address,
        text,
        context.at,
        due_at=context.at + answer.delay if answer.delay else None,
        before={"state": case.state, "taken_by": case.taken_by, "then": answer.next_state} if answer.delay else None,
        files=[file.encode() for file in answer.files],
    )
    requested = _reply_requested(case, context, contacts, answer, row)
    changes = add_row(_after_contacting_citizen(case, answer, context), row, context)
    return replace(changes, events=[requested, *changes.events])


def _reply_requested(
    case: Case, context: ActionContext, contacts: Sequence[CaseContact], answer: ReplyInput, row: AgentReply
) -> ReplyRequested:
    language = reply_language(contacts, context.town_config)
    addressee = find_case_addressee(contacts)
    stated, points = addressee.stated, addressee.contact_points
    if answer.channel:
        stated = (ReplyAddress.model_validate({"channel": row.channel, "address": row.address}),)
        if row.address not in {candidate.to.address for candidate in reply_candidates(addressee)}:
            points = ()  # chosen because the known ones are not to be used: if it fails, the agent decides again
    return ReplyRequested(
        reply_id=ReplyId(row.reply_id),
        conversation_id=ConversationId(case.conversation_id),
        reference=case.reference,
        kind="answer",
        department=case.department,
        procedure=case.procedure,
        channel_of_contact=addressee.channel or case.channel,
        template="answer",
        language=language,
        legal=False,
        send_at=context.at + answer.delay,
        requested_at=context.at,
        requested_by=context.agent.name[:80],
        attachments=tuple(file.claim for file in answer.files),
        personal=ReplyPersonalData(
            contact_points=points,
            stated=stated,
            variables=standard_variables(
                context.town_config, department=case.department, language=language, reference=case.reference
            )
            | {"agent": context.agent.signature},
            text=row.text,
            in_reply_to=latest_message_id(contacts),
            file_names=tuple(file.name for file in answer.files),
        ),
    )


def confirm_wish(case: Case, context: ActionContext, contacts: Sequence[CaseContact], contact_id: str) -> CaseChanges:
    """Confirm that the addresses which a message asks for belong to the citizen: from now on replies go there.

    Raises: Rejected, with the key of its sentence: the message asks for no unconfirmed address.
    Retry:  confirming twice changes nothing.
    """
    if contact_id not in {wish.contact_id for wish in find_case_addressee(contacts).unconfirmed}:
        raise Rejected("no_wish")
    act_id = uuid.uuid5(uuid.UUID(case.conversation_id), f"wish:{contact_id}")
    row = CaseActionRecord(
        str(act_id), case.conversation_id, "wish_confirmed", context.agent.name, contact_id, context.at
    )
    return add_row(case, row, context)


def record_call(case: Case, context: ActionContext, note: AgentTextInput) -> CaseChanges:
    """Record a call to the citizen with the agent's notes."""
    act_id = uuid.uuid5(uuid.UUID(case.conversation_id), f"called:{note.idempotency_key}")
    row = CaseActionRecord(
        str(act_id), case.conversation_id, "called", context.agent.name, checked_text(note), context.at
    )
    return add_row(_after_contacting_citizen(case, note, context), row, context)


def request_transfer(
    case: Case, context: ActionContext, to_department: str, reason: str, idempotency_key: str
) -> CaseChanges:
    """Ask the router to transfer the conversation; the case leaves when the router has done so.

    Raises: Rejected, with the key of its sentence: no reason, no such department, already there.
    """
    if (
        context.town_config.department(to_department) is None
        or context.town_config.current_department(to_department) != to_department
    ):
        raise Rejected("no_department")
    if to_department == case.department:
        raise Rejected("already_here")
    reason = " ".join(reason.split())
    if not 1 <= len(reason) <= 400:
        raise Rejected("no_reason")
    transfer_id = str(uuid.uuid5(uuid.UUID(case.conversation_id), f"transfer:{idempotency_key}"))
    row = TransferRecord(
        transfer_id, case.conversation_id, case.department, to_department, reason, context.agent.name, context.at
    )
    requested = TransferRequested(
        transfer_id=transfer_id,
        conversation_id=ConversationId(case.conversation_id),
        from_department=case.department,
        to_department=to_department,
        reason=reason,
        requested_by=context.agent.name[:80],
        requested_at=context.at,
    )
    return CaseChanges(rows=[row], events=[requested])


def _after_contacting_citizen(case: Case, text: AgentTextInput, context: ActionContext) -> Case:
    owner = case.taken_by or context.agent.name
    return replace(case, taken_by=owner, state=text.next_state, undelivered=False, snoozed_until=None)


def record_action(case: Case, kind: str, context: ActionContext) -> CaseChanges:
    row = CaseActionRecord(str(uuid.uuid4()), case.conversation_id, kind, context.agent.name, "", context.at)
    return add_row(case, row, context)


def add_row(case: Case, row: CaseRow, context: ActionContext) -> CaseChanges:
    case = replace(case, changed_at=context.at)
    return CaseChanges(case, [row], [build_case_updated(case, context.town_config, context.at)])


def checked_text(agent_text: AgentTextInput) -> str:
    text = agent_text.text.strip()
    if not remove_invisible_characters(text):
        raise Rejected("no_text")
    if len(text) > MAX_TEXT_LENGTH:
        raise Rejected("text_too_long")
    return text


def _recipient(answer: ReplyInput, contacts: Sequence[CaseContact], town_config: TownConfig) -> ReplyRecipient:
    if not answer.channel:
        if answer.address:
            raise Rejected("no_channel")
        known = find_recipient(contacts)
        if known.source == "unknown":
            raise Rejected("no_address")
        if known.channel == "phone":
            raise Rejected("call_instead")
        return known
    parse = _PARSERS.get(answer.channel)
    if parse is None or answer.channel == "phone":
        raise Rejected("no_channel")
    try:
        address = parse(answer.address).value
    except Rejected as error:
        raise Rejected("wrong_address") from error
    if address in town_config.own_addresses:
        raise Rejected("own_address")
    if parse is phone_contact_point and not can_receive_sms(address):
        raise Rejected("no_sms_number")
    return ReplyRecipient(answer.channel, address, "stated")
