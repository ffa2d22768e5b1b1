"""What an agent does with a case in, the changed case with its rows and events out. Pure; no I/O."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from parvis.common.contract.contact import ConversationId, ReplyAddress
from parvis.common.contract.contact_points import email_contact_point, phone_contact_point, postal_contact_point
from parvis.common.contract.errors import Rejected
from parvis.common.contract.reply import PersonalReply, ReplyId, ReplyRequested, make_reply_id
from parvis.common.contract.routing.transfer import TransferRequested
from parvis.common.town.models import TownConfig
from parvis.common.town.template_variables import standard_variables
from parvis.desk.decide.case_updated import build_case_updated
from parvis.desk.decide.reply_recipient import find_recipient, latest_message_id, reply_language
from parvis.desk.models.case import (
    MAX_TEXT_LENGTH,
    Agent,
    AgentReply,
    Case,
    CaseAction,
    CaseChanges,
    CaseContact,
    ReplyRecipient,
    State,
    TransferRecord,
)

_PARSERS = {
    "sms": phone_contact_point,
    "phone": phone_contact_point,
    "email": email_contact_point,
    "post": postal_contact_point,
}


@dataclass(frozen=True)
class AgentText:
    """What an agent wrote, and the state the case is left in. `once` is the same when the same form is sent again."""

    text: str
    idempotency_key: str
    next_state: State = "waiting"


@dataclass(frozen=True)
class ReplyInput(AgentText):
    """An answer; with a channel and address of its own where the agent chose another than the citizen's."""

    channel: str = ""
    address: str = ""


def take_case(case: Case, agent: Agent, town_config: TownConfig, at: datetime) -> CaseChanges:
    """The agent has the case now; taking it from a colleague is allowed, and seen."""
    if case.taken_by == agent.name and case.state == "open":
        return CaseChanges()
    case.taken_by, case.state = agent.name, "open"
    return _record_action(case, "taken", agent, town_config, at)


def release_case(case: Case, agent: Agent, town_config: TownConfig, at: datetime) -> CaseChanges:
    if case.taken_by is None:
        return CaseChanges()
    case.taken_by = None
    return _record_action(case, "released", agent, town_config, at)


def close_case(case: Case, agent: Agent, town_config: TownConfig, at: datetime) -> CaseChanges:
    if case.state == "closed":
        return CaseChanges()
    case.state, case.undelivered = "closed", False
    return _record_action(case, "closed", agent, town_config, at)


def reopen_case(case: Case, agent: Agent, town_config: TownConfig, at: datetime) -> CaseChanges:
    if case.state == "open":
        return CaseChanges()
    case.state = "open"
    return _record_action(case, "reopened", agent, town_config, at)


def request_reply(
    case: Case, agent: Agent, contacts: Sequence[CaseContact], answer: ReplyInput, town_config: TownConfig, at: datetime
) -> CaseChanges:
    """Ask the notifier to send an answer.

    Raises: Rejected, with the key of the sentence: no text, too long, nowhere to send it, an address that is none;
            `call_instead`, when the citizen asks to be called.
    Retry:  the same `once` is the same reply.
    """
    text, target = _checked_text(answer), _recipient(answer, contacts)
    reply_id = make_reply_id("desk", case.conversation_id, answer.idempotency_key)
    row = AgentReply(
        reply_id, case.conversation_id, agent.name, case.department, target.channel, target.address, text, at
    )
    requested = _reply_requested(case, agent, contacts, answer, target, reply_id, town_config, at)
    case.taken_by = case.taken_by or agent.name
    case.state, case.undelivered, case.changed_at = answer.next_state, False, at
    return CaseChanges(records=[row], events=[requested, build_case_updated(case, town_config, at)])


def _reply_requested(
    case: Case,
    agent: Agent,
    contacts: Sequence[CaseContact],
    answer: ReplyInput,
    target: ReplyRecipient,
    reply_id: ReplyId,
    town_config: TownConfig,
    at: datetime,
) -> ReplyRequested:
    language = reply_language(contacts, town_config)
    latest = contacts[-1].contact if contacts else None
    points = {opened.contact.personal.from_: None for opened in reversed(contacts) if opened.contact.personal.from_}
    stated = [wish for opened in reversed(contacts) for wish in opened.contact.personal.reply_channels]
    if answer.channel:
        stated = [ReplyAddress.model_validate({"channel": target.channel, "address": target.address})]
    return ReplyRequested(
        reply_id=reply_id,
        conversation_id=ConversationId(case.conversation_id),
        reference=case.reference,
        kind="answer",
        department=case.department,
        procedure=case.procedure,
        channel_of_contact=latest.channel if latest else case.channel,
        template="answer",
        language=language,
        legal=False,
        send_at=at,
        requested_at=at,
        requested_by=agent.name[:80],
        personal=PersonalReply(
            contact_points=tuple(point for point in points if point),
            stated=tuple(dict.fromkeys(stated)),
            variables=standard_variables(
                town_config, department=case.department, language=language, reference=case.reference
            ),
            text=_checked_text(answer),
            in_reply_to=latest_message_id(contacts),
        ),
    )


def record_call(case: Case, agent: Agent, note: AgentText, town_config: TownConfig, at: datetime) -> CaseChanges:
    """The agent called the citizen: what was said is kept with the case."""
    act_id = uuid.uuid5(uuid.UUID(case.conversation_id), f"called:{note.idempotency_key}")
    case.taken_by = case.taken_by or agent.name
    case.state, case.undelivered, case.changed_at = note.next_state, False, at
    row = CaseAction(str(act_id), case.conversation_id, "called", agent.name, _checked_text(note), at)
    return CaseChanges(records=[row], events=[build_case_updated(case, town_config, at)])


def request_transfer(
    case: Case, agent: Agent, to_department: str, reason: str, once: str, town_config: TownConfig, at: datetime
) -> CaseChanges:
    """Ask the router to bring the conversation to another department; it moves when the router says so.

    Raises: Rejected, with the key of the sentence: no reason, no such department, already here.
    """
    if town_config.department(to_department) is None or town_config.current_department(to_department) != to_department:
        raise Rejected("no_department")
    if to_department == case.department:
        raise Rejected("already_here")
    reason = " ".join(reason.split())
    if not 1 <= len(reason) <= 400:
        raise Rejected("no_reason")
    transfer_id = str(uuid.uuid5(uuid.UUID(case.conversation_id), f"transfer:{once}"))
    row = TransferRecord(transfer_id, case.conversation_id, case.department, to_department, reason, agent.name, at)
    requested = TransferRequested(
        transfer_id=transfer_id,
        conversation_id=ConversationId(case.conversation_id),
        from_department=case.department,
        to_department=to_department,
        reason=reason,
        requested_by=agent.name[:80],
        requested_at=at,
    )
    return CaseChanges(records=[row], events=[requested])


def _record_action(case: Case, kind: str, agent: Agent, town_config: TownConfig, at: datetime) -> CaseChanges:
    case.changed_at = at
    row = CaseAction(str(uuid.uuid4()), case.conversation_id, kind, agent.name, "", at)
    return CaseChanges(records=[row], events=[build_case_updated(case, town_config, at)])


def _checked_text(words: AgentText) -> str:
    text = words.text.strip()
    if not text:
        raise Rejected("no_text")
    if len(text) > MAX_TEXT_LENGTH:
        raise Rejected("text_too_long")
    return text


def _recipient(answer: ReplyInput, contacts: Sequence[CaseContact]) -> ReplyRecipient:
    if not answer.channel:
        known = find_recipient(contacts)
        if known.source == "unknown":
            raise Rejected("no_address")
        if known.channel == "phone":
            raise Rejected("call_instead")
        return known
    read = _PARSERS.get(answer.channel)
    if read is None or answer.channel == "phone":
        raise Rejected("no_channel")
    try:
        return ReplyRecipient(answer.channel, read(answer.address).value, "stated")
    except Rejected as error:
        raise Rejected("wrong_address") from error
