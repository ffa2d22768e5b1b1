"""Builds a contact from the form that an agent fills in at the counter or on the phone. Pure; no I/O."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from parvis.common.contract.contact import (
    ClaimCheck,
    ContactId,
    ContactPersonalData,
    ContactPoint,
    ContactReceived,
    ConversationIdentifiers,
    ReplyAddress,
    Verification,
)
from parvis.common.contract.errors import Rejected
from parvis.common.contract.normalize_contact_points import (
    email_contact_point,
    hash_contact_point,
    phone_contact_point,
    postal_contact_point,
)
from parvis.common.contract.references import find_references, make_reference
from parvis.common.text.invisible_characters import remove_invisible_characters
from parvis.common.text.telephone import can_receive_sms
from parvis.common.town.models import TownConfig, localized
from parvis.desk.models.case import IN_PERSON_CHANNELS, MAX_TEXT_LENGTH, Agent

_PARSERS: dict[str, Callable[[str], ContactPoint]] = {
    "sms": phone_contact_point,
    "phone": phone_contact_point,
    "email": email_contact_point,
    "post": postal_contact_point,
}


@dataclass(frozen=True)
class CounterForm:
    """One visit or call: the fields as the agent typed them."""

    channel: str
    procedure: str = ""
    subject: str = ""
    text: str = ""
    name: str = ""
    phone: str = ""
    email: str = ""
    reply_channel: str = ""
    reply_address: str = ""
    to_department: str = ""  # empty: the agent's own
    reference: str = ""
    language: str = "fr"


@dataclass(frozen=True)
class VisitedCase:
    """The case that a person came back for."""

    conversation_id: str
    reference: str
    department: str
    citizen: str = ""


def make_counter_contact(
    form: CounterForm,
    *,
    contact_id: ContactId,
    agent: Agent,
    original: ClaimCheck,
    conversation: str | None,
    town_config: TownConfig,
    hashing_key: bytes,
    at: datetime,
) -> ContactReceived:
    """The contact of a visit or a call. Its sender level is `staff`, because an agent saw or heard the person.

    Raises: Rejected, with the key of the sentence that names the missing or invalid field.
    """
    if form.channel not in IN_PERSON_CHANNELS:
        raise Rejected("no_channel")
    if form.procedure and town_config.procedure(form.procedure) is None:
        raise Rejected("no_procedure")
    chosen = town_config.department(form.to_department)
    if form.to_department and (chosen is None or chosen.successor):
        raise Rejected("no_department")
    if not remove_invisible_characters(form.text):
        raise Rejected("no_text")
    if len(form.text) > MAX_TEXT_LENGTH:
        raise Rejected("text_too_long")
    quoted = find_references(form.reference)
    if form.reference.strip() and not quoted:  # never a new request because of a slip
        raise Rejected("wrong_reference")
    sender = _sender(form)
    return ContactReceived(
        contact_id=contact_id,
        reference=make_reference(contact_id),
        channel=form.channel,
        received_at=at,
        recorded_at=at,
        to=stated_department(form, agent),
        procedure=form.procedure or None,
        language=town_config.town.supported_language(form.language),
        sender=Verification(level="staff", evidence=f"seen or heard by an agent of {agent.department}"),
        thread=ConversationIdentifiers(conversation_id=conversation, reference=quoted[0] if quoted else None),
        original=original,
        contact_point_hash=hash_contact_point(sender, hashing_key) if sender else None,
        personal=ContactPersonalData.model_validate(
            {
                "from": sender,
                "display_name": " ".join(form.name.split())[:400],
                "subject": _subject(form, town_config),
                "text": form.text.strip(),
                "reply_channels": _reply_addresses(form),
            }
        ),
    )


def stated_department(form: CounterForm, agent: Agent) -> str:
    """The department that deals with it: where it is written down, unless the agent states another. Reception leaves it to the rules."""
    return form.to_department or agent.department


def canonical_bytes(form: CounterForm, agent: Agent) -> bytes:
    """The form as canonical JSON."""
    content = {**form.__dict__, "department": agent.department, "written_by": agent.name}
    return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _subject(form: CounterForm, town_config: TownConfig) -> str:
    procedure = town_config.procedure(form.procedure)
    title = localized(procedure.title, form.language) if procedure else ""
    return " ".join(form.subject.split())[:300] or title


def _sender(form: CounterForm) -> ContactPoint | None:
    if form.phone.strip():
        return _parse(phone_contact_point, form.phone, "wrong_phone")
    return _parse(email_contact_point, form.email, "wrong_email") if form.email.strip() else None


def _reply_addresses(form: CounterForm) -> tuple[ReplyAddress, ...]:
    """The preferred reply channel; without an address of its own it uses the phone number or mail address given above."""
    if not form.reply_channel:
        if form.reply_address.strip():
            raise Rejected("no_reply_channel")
        return ()
    if form.reply_channel not in _PARSERS:
        raise Rejected("no_reply_channel")
    given = {"sms": form.phone, "phone": form.phone, "email": form.email}.get(form.reply_channel, "")
    address = form.reply_address.strip() or given.strip()
    if not address:
        raise Rejected("no_reply_address")
    if form.reply_channel == "post" and form.name.strip() and form.name.strip() not in address:
        address = f"{form.name.strip()}\n{address}"
    point = _parse(_PARSERS[form.reply_channel], address, "wrong_reply_address")
    if form.reply_channel == "sms" and not can_receive_sms(point.value):
        raise Rejected("wrong_reply_address")
    return (ReplyAddress.model_validate({"channel": form.reply_channel, "address": point.value}),)


def _parse(parser: Callable[[str], ContactPoint], text: str, key: str) -> ContactPoint:
    try:
        return parser(text)
    except Rejected as error:
        raise Rejected(key) from error
