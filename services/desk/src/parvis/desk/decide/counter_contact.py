"""What an agent wrote down at the counter or on the phone in, its contact out. Pure; no I/O."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from parvis.common.contract.contact import (
    ClaimCheck,
    ContactId,
    ContactPoint,
    ContactReceived,
    PersonalContact,
    ReplyAddress,
    ThreadIdentifiers,
    Verification,
)
from parvis.common.contract.contact_points import (
    email_contact_point,
    hash_contact_point,
    phone_contact_point,
    postal_contact_point,
)
from parvis.common.contract.errors import Rejected
from parvis.common.contract.references import find_references, make_reference
from parvis.common.town.models import TownConfig, localized
from parvis.desk.models.case import CALLED, LARGEST_TEXT, Agent

_REPLIES: dict[str, Callable[[str], ContactPoint]] = {
    "sms": phone_contact_point,
    "phone": phone_contact_point,
    "email": email_contact_point,
    "post": postal_contact_point,
}


@dataclass(frozen=True)
class Visit:
    """One visit or call, as the agent wrote it down: strings as typed."""

    channel: str
    procedure: str = ""
    subject: str = ""
    text: str = ""
    name: str = ""
    phone: str = ""
    email: str = ""
    reply_channel: str = ""
    reply_address: str = ""
    reference: str = ""
    language: str = "fr"


def contact_at_counter(
    visit: Visit,
    *,
    made: ContactId,
    agent: Agent,
    original: ClaimCheck,
    conversation: str | None,
    town_config: TownConfig,
    hashing_key: bytes,
    at: datetime,
) -> ContactReceived:
    """The contact of a visit or a call; the sender's level is `staff`: a colleague saw or heard the person.

    Raises: Rejected, with the key of the sentence that says what is missing or wrong.
    """
    if visit.channel not in CALLED:
        raise Rejected("no_channel")
    if visit.procedure and town_config.procedure(visit.procedure) is None:
        raise Rejected("no_procedure")
    if not visit.text.strip():
        raise Rejected("no_text")
    if len(visit.text) > LARGEST_TEXT:
        raise Rejected("text_too_long")
    sender = _sender(visit)
    return ContactReceived(
        contact_id=made,
        reference=make_reference(made),
        channel=visit.channel,
        received_at=at,
        recorded_at=at,
        to=agent.department,
        procedure=visit.procedure or None,
        language=town_config.town.supported_language(visit.language),
        sender=Verification(level="staff", evidence=f"seen or heard by an agent of {agent.department}"),
        thread=ThreadIdentifiers(
            conversation_id=conversation, reference=next(iter(find_references(visit.reference)), None)
        ),
        original=original,
        contact_point_hash=hash_contact_point(sender, hashing_key) if sender else None,
        personal=PersonalContact.model_validate(
            {
                "from": sender,
                "display_name": " ".join(visit.name.split())[:400],
                "subject": _subject(visit, town_config),
                "text": visit.text.strip(),
                "reply_channels": _wishes(visit),
            }
        ),
    )


def original_of(visit: Visit, agent: Agent) -> bytes:
    """What the agent wrote, in one canonical form."""
    content = {**visit.__dict__, "department": agent.department, "written_by": agent.name}
    return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _subject(visit: Visit, town_config: TownConfig) -> str:
    procedure = town_config.procedure(visit.procedure)
    title = localized(procedure.title, visit.language) if procedure else ""
    return " ".join(visit.subject.split())[:300] or title


def _sender(visit: Visit) -> ContactPoint | None:
    if visit.phone.strip():
        return _read(phone_contact_point, visit.phone, "wrong_phone")
    return _read(email_contact_point, visit.email, "wrong_email") if visit.email.strip() else None


def _wishes(visit: Visit) -> tuple[ReplyAddress, ...]:
    """How the person wants to be answered; the phone number or mail address already given is used again."""
    if not visit.reply_channel:
        return ()
    if visit.reply_channel not in _REPLIES:
        raise Rejected("no_reply_channel")
    given = {"sms": visit.phone, "phone": visit.phone, "email": visit.email}.get(visit.reply_channel, "")
    address = visit.reply_address.strip() or given.strip()
    if not address:
        raise Rejected("no_reply_address")
    if visit.reply_channel == "post" and visit.name.strip() and visit.name.strip() not in address:
        address = f"{visit.name.strip()}\n{address}"
    point = _read(_REPLIES[visit.reply_channel], address, "wrong_reply_address")
    return (ReplyAddress.model_validate({"channel": visit.reply_channel, "address": point.value}),)


def _read(read: Callable[[str], ContactPoint], text: str, key: str) -> ContactPoint:
    try:
        return read(text)
    except Rejected as error:
        raise Rejected(key) from error
