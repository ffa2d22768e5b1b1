"""Twilio's forms in, contacts and delivery reports out. Pure; no I/O."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qsl

from parvis.common import contact
from parvis.common.contact import (
    ClaimCheck,
    ContactId,
    ContactPoint,
    ContactReceived,
    PersonalContact,
    ThreadMarks,
    Verification,
    clip_text,
    contact_id,
    contact_point_hash,
    reference_of,
    references_in,
)
from parvis.common.delivery import DeliveryReported
from parvis.common.errors import Rejected
from parvis.common.language import language_of
from parvis.common.preference import stated_reply_channels
from parvis.common.reply import ReplyId
from parvis.ingest_sms.tables import FAILED, FAILURES, OUTCOMES

_MESSAGE_SID = re.compile(r"(?:SM|MM)[0-9a-f]{32}")
_REPLY_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_MOST_FIELDS = 200
_WHATSAPP = "whatsapp:"

Form = list[tuple[str, str]]


@dataclass(frozen=True)
class Announcement:
    """What every one of Twilio's forms has, checked: whose it is and which message it tells of."""

    message_sid: str
    values: dict[str, str]

    def value(self, name: str) -> str:
        return self.values.get(name, "")


def read_form(body: bytes) -> Form:
    """The fields of a form in their order, with blank values and without any trimming: the signature covers them all.

    Raises: Rejected, for more fields than Twilio ever sends.
    """
    try:
        return parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise Rejected("not a form of Twilio's") from error


def announcement(form: Form, accounts: frozenset[str]) -> Announcement:
    """The message that a signed form tells of.

    A signature covers names and values run together, so that AB=C is signed like A=BC: hence the strict shape.
    Raises: Rejected, without our AccountSid or a well-formed MessageSid, with one twice, or with a name no form has.
    """
    for name in ("AccountSid", "MessageSid", "To", "From"):
        if sum(other == name for other, _ in form) > 1:
            raise Rejected(f"{name} comes twice")
    if not all(_NAME.fullmatch(name) for name, _ in form):
        raise Rejected("a field has a name that is none of Twilio's")
    values = dict(form)
    if values.get("AccountSid") not in accounts:
        raise Rejected("AccountSid is not ours")
    if not _MESSAGE_SID.fullmatch(values.get("MessageSid", "")):
        raise Rejected("MessageSid is missing or malformed")
    return Announcement(values["MessageSid"], values)


def id_of(told: Announcement) -> ContactId:
    """The contact's id: the same MessageSid to the same number is the same contact, on every redelivery."""
    return contact_id("sms", told.value("To"), told.message_sid)


def parse(
    told: Announcement, *, original: ClaimCheck, received_at: datetime, recorded_at: datetime, hashing_key: bytes
) -> ContactReceived:
    """Turn one announced message into a contact.

    Shape:  Body up to 1600 characters, already joined by Twilio; From and To in E.164, `whatsapp:` before WhatsApp's.
    Gives:  a contact whatever the values: what cannot be read is said in `unreadable`, and people have the original.
    Retry:  the same MessageSid gives the same contact id.
    Source: Twilio docs, "Twilio's request to your incoming message webhook URL".
    """
    made = id_of(told)
    text = clip_text(told.value("Body"))
    sender = _sender(told.value("From"))
    return ContactReceived(
        contact_id=made,
        reference=reference_of(made),
        channel="whatsapp" if told.value("From").startswith(_WHATSAPP) else "sms",
        received_at=received_at,
        recorded_at=recorded_at,
        to=_clean(told.value("To").removeprefix(_WHATSAPP), 320),
        language=language_of(text),
        sender=Verification(level="provider" if sender else "none", evidence="twilio signature"),
        thread=ThreadMarks(reference=next(iter(references_in(text)), None)),
        original=original,
        unreadable=_unreadable(told, sender),
        contact_point_hash=contact_point_hash(sender, hashing_key) if sender else None,
        personal=PersonalContact.model_validate(
            {
                "from": sender,
                "display_name": _clean(told.value("ProfileName") or ("" if sender else told.value("From")), 400),
                "text": text,
                "reply_channels": stated_reply_channels(text, sender=sender),
            }
        ),
    )


def parse_status(told: Announcement, *, reply: str, reported_at: datetime) -> DeliveryReported:
    """Turn one status callback into a delivery report.

    Raises: Rejected, for a reply id that is none, or a status that Twilio does not have.
    """
    if not _REPLY_ID.fullmatch(reply):
        raise Rejected("the callback names no reply")
    outcome = OUTCOMES.get(told.value("MessageStatus"))
    if not outcome:
        raise Rejected("MessageStatus is not known")
    code = told.value("ErrorCode")
    return DeliveryReported(
        reply_id=ReplyId(reply),
        channel="whatsapp" if told.value("To").startswith(_WHATSAPP) else "sms",
        provider="twilio",
        provider_id=told.message_sid,
        outcome=outcome,
        failure_class=FAILURES.get(code, "temporary") if outcome in FAILED else None,
        detail=code if code.isascii() and code.isdigit() and len(code) <= 6 else "",
        reported_at=reported_at,
    )


def reply_in(query: Sequence[tuple[str, str]]) -> str:
    """The reply that a callback's URL names; the notifier put it there, and the signature covers it."""
    return next((value for name, value in query if name == "reply"), "")


def _sender(text: str) -> ContactPoint | None:
    """The citizen's number; none for a short code or a name in letters, which nobody can answer."""
    try:
        return contact.phone(text.removeprefix(_WHATSAPP))
    except Rejected:
        return None


def _unreadable(told: Announcement, sender: ContactPoint | None) -> str | None:
    media = told.value("NumMedia")
    if media not in ("", "0"):
        return "comes with pictures or files that are not fetched"
    if "Body" not in told.values:
        return "the form has no text"
    return None if sender else "the sender's number cannot be read"


def _clean(text: str, length: int) -> str:
    return "".join(character if character.isprintable() else " " for character in text)[:length]
