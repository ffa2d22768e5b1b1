"""Builds the contact.received event of a message. Pure; no I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from parvis.common.contract.contact import (
    Attachment,
    ClaimCheck,
    ContactPersonalData,
    ContactReceived,
    ConversationIdentifiers,
    Verification,
)
from parvis.common.contract.daily_source_pseudonyms import hash_sources
from parvis.common.contract.normalize_contact_points import hash_contact_point
from parvis.common.contract.references import find_references, make_reference
from parvis.common.contract.text_limit import truncate_text
from parvis.common.text.language import detect_language
from parvis.common.text.reply_channels import find_stated_reply_channels
from parvis.ingest_sms.parse.text_outside_body import find_words
from parvis.ingest_sms.parse.webhook_form import WHATSAPP, InboundMessage

_EMPTY = {True: "the message is empty", False: "the form has no text"}


@dataclass(frozen=True)
class MessageMetadata:
    """The facts about a message that are not in its form."""

    original: ClaimCheck
    received_at: datetime
    recorded_at: datetime
    hashing_key: bytes
    attachments: Sequence[Attachment] = ()
    file_names: Sequence[str] = ()
    evidence: str = "twilio signature"
    own_addresses: frozenset[str] = frozenset()


def build_contact(message: InboundMessage, facts: MessageMetadata) -> ContactReceived:
    """Turn one message into a contact.

    Shape:  Body up to 1600 characters, already joined by Twilio; From and To in E.164, with the prefix `whatsapp:` on WhatsApp.
    Gives:  a contact for any form values; `unreadable` gives the reason when an agent must open the original.
    Retry:  the same MessageSid gives the same contact id.
    Source: Twilio docs, "Twilio's request to your incoming message webhook URL".
    """
    contact_id, sender, text = message.contact_id, message.sender, truncate_text(find_words(message))
    point = message.pseudonymous_point
    return ContactReceived(
        contact_id=contact_id,
        reference=make_reference(contact_id),
        channel=message.channel,
        received_at=facts.received_at,
        recorded_at=facts.recorded_at,
        to=_replace_unprintable(message.value("To").removeprefix(WHATSAPP), 320),
        language=detect_language(text),
        sender=Verification(level="provider" if sender else "none", evidence=facts.evidence),
        thread=ConversationIdentifiers(reference=next(iter(find_references(text)), None)),
        original=facts.original,
        attachments=tuple(facts.attachments),
        unreadable=_explain_unreadable(message, text, facts.attachments),
        contact_point_hash=hash_contact_point(point, facts.hashing_key) if point else None,
        sources=hash_sources([point.value] if point else [], facts.received_at, facts.hashing_key),
        personal=ContactPersonalData.model_validate(
            {
                "from": sender,
                "display_name": _replace_unprintable(
                    message.value("ProfileName") or ("" if sender else message.value("From")), 400
                ),
                "text": text,
                "file_names": tuple(facts.file_names),
                "reply_channels": find_stated_reply_channels(text, sender=sender, own=facts.own_addresses),
            }
        ),
    )


def _explain_unreadable(message: InboundMessage, text: str, attachments: Sequence[Attachment]) -> str | None:
    if message.media_missing:
        return "has pictures or files for which Twilio gives no URL"
    if not text.strip() and any(attachment.trouble for attachment in attachments):
        return "has only pictures or files, and one could not be fetched"
    if not text.strip() and not attachments and not message.media:
        kind = _replace_unprintable(message.value("MessageType"), 40)
        return (
            f"has no text that can be read (kind: {kind})"
            if kind not in ("", "text")
            else _EMPTY["Body" in message.values]
        )
    return None if message.pseudonymous_point else "the sender's number cannot be read"


def _replace_unprintable(text: str, length: int) -> str:
    return "".join(character if character.isprintable() else " " for character in text)[:length]
