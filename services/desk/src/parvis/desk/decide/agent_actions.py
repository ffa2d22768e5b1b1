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
from parvis.desk.decide.case_updated import case_updated
from parvis.desk.decide.reply_recipient import in_reply_to, language_for, target_of
from parvis.desk.models.case import LARGEST_TEXT, Act, Agent, Case, Changes, Opened, Reply, State, Target, Transfer

_READ = {
    "sms": phone_contact_point,
    "phone": phone_contact_point,
    "email": email_contact_point,
    "post": postal_contact_point,
}


@dataclass(frozen=True)
class Words:
    """What an agent wrote, and the state the case is left in. `once` is the same when the same form is sent again."""

    text: str
    once: str
    then: State = "waiting"


@dataclass(frozen=True)
class Answer(Words):
    """An answer; with a channel and address of its own where the agent chose another than the citizen's."""

    channel: str = ""
    address: str = ""


def take(case: Case, agent: Agent, town_config: TownConfig, at: datetime) -> Changes:
    """The agent has the case now; taking it from a colleague is allowed, and seen."""
    if case.taken_by == agent.name and case.state == "open":
        return Changes()
    case.taken_by, case.state = agent.name, "open"
    return _done(case, "taken", agent, town_config, at)


def release(case: Case, agent: Agent, town_config: TownConfig, at: datetime) -> Changes:
    if case.taken_by is None:
        return Changes()
    case.taken_by = None
    return _done(case, "released", agent, town_config, at)


def close(case: Case, agent: Agent, town_config: TownConfig, at: datetime) -> Changes:
    if case.state == "closed":
        return Changes()
    case.state, case.undelivered = "closed", False
    return _done(case, "closed", agent, town_config, at)


def reopen(case: Case, agent: Agent, town_config: TownConfig, at: datetime) -> Changes:
    if case.state == "open":
        return Changes()
    case.state = "open"
    return _done(case, "reopened", agent, town_config, at)


def reply(
    case: Case, agent: Agent, contacts: Sequence[Opened], answer: Answer, town_config: TownConfig, at: datetime
) -> Changes:
    """Ask the notifier to send an answer.

    Raises: Rejected, with the key of the sentence: no text, too long, nowhere to send it, an address that is none;
            `call_instead`, when the citizen asks to be called.
    Retry:  the same `once` is the same reply.
    """
    text, target = _text(answer), _target(answer, contacts)
    made = make_reply_id("desk", case.conversation_id, answer.once)
    row = Reply(made, case.conversation_id, agent.name, case.department, target.channel, target.address, text, at)
    requested = _requested(case, agent, contacts, answer, target, made, town_config, at)
    case.taken_by = case.taken_by or agent.name
    case.state, case.undelivered, case.changed_at = answer.then, False, at
    return Changes(rows=[row], events=[requested, case_updated(case, town_config, at)])


def _requested(
    case: Case,
    agent: Agent,
    contacts: Sequence[Opened],
    answer: Answer,
    target: Target,
    made: ReplyId,
    town_config: TownConfig,
    at: datetime,
) -> ReplyRequested:
    language = language_for(contacts, town_config)
    latest = contacts[-1].contact if contacts else None
    points = {opened.contact.personal.from_: None for opened in reversed(contacts) if opened.contact.personal.from_}
    stated = [wish for opened in reversed(contacts) for wish in opened.contact.personal.reply_channels]
    if answer.channel:
        stated = [ReplyAddress.model_validate({"channel": target.channel, "address": target.address})]
    return ReplyRequested(
        reply_id=made,
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
            text=_text(answer),
            in_reply_to=in_reply_to(contacts),
        ),
    )


def call(case: Case, agent: Agent, words: Words, town_config: TownConfig, at: datetime) -> Changes:
    """The agent called the citizen: what was said is kept with the case."""
    act_id = uuid.uuid5(uuid.UUID(case.conversation_id), f"called:{words.once}")
    case.taken_by = case.taken_by or agent.name
    case.state, case.undelivered, case.changed_at = words.then, False, at
    row = Act(str(act_id), case.conversation_id, "called", agent.name, _text(words), at)
    return Changes(rows=[row], events=[case_updated(case, town_config, at)])


def transfer(
    case: Case, agent: Agent, to_department: str, reason: str, once: str, town_config: TownConfig, at: datetime
) -> Changes:
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
    made = str(uuid.uuid5(uuid.UUID(case.conversation_id), f"transfer:{once}"))
    row = Transfer(made, case.conversation_id, case.department, to_department, reason, agent.name, at)
    requested = TransferRequested(
        transfer_id=made,
        conversation_id=ConversationId(case.conversation_id),
        from_department=case.department,
        to_department=to_department,
        reason=reason,
        requested_by=agent.name[:80],
        requested_at=at,
    )
    return Changes(rows=[row], events=[requested])


def _done(case: Case, kind: str, agent: Agent, town_config: TownConfig, at: datetime) -> Changes:
    case.changed_at = at
    row = Act(str(uuid.uuid4()), case.conversation_id, kind, agent.name, "", at)
    return Changes(rows=[row], events=[case_updated(case, town_config, at)])


def _text(words: Words) -> str:
    text = words.text.strip()
    if not text:
        raise Rejected("no_text")
    if len(text) > LARGEST_TEXT:
        raise Rejected("text_too_long")
    return text


def _target(answer: Answer, contacts: Sequence[Opened]) -> Target:
    if not answer.channel:
        known = target_of(contacts)
        if known.why == "unknown":
            raise Rejected("no_address")
        if known.channel == "phone":
            raise Rejected("call_instead")
        return known
    read = _READ.get(answer.channel)
    if read is None or answer.channel == "phone":
        raise Rejected("no_channel")
    try:
        return Target(answer.channel, read(answer.address).value, "stated")
    except Rejected as error:
        raise Rejected("wrong_address") from error
