"""Builds a ContactReceived event of limited size from a parsed mail and its delivery. Pure; no I/O."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from parvis.common.contract.contact import (
    EVENT_LIMIT_BYTES,
    Attachment,
    ClaimCheck,
    ContactId,
    ContactPersonalData,
    ContactPoint,
    ContactReceived,
    ConversationIdentifiers,
    MachineSent,
    ReplyAddress,
    Verification,
)
from parvis.common.contract.daily_source_pseudonyms import UNPROVED_MAIL, hash_sources, mail_sources, network_sources
from parvis.common.contract.errors import Rejected
from parvis.common.contract.find_addressee import OTHER_REPLY_TO
from parvis.common.contract.mail_tokens import conversation_id_of_message_id
from parvis.common.contract.normalize_contact_points import email_contact_point, hash_contact_point
from parvis.common.contract.references import find_references, make_reference
from parvis.common.contract.text_limit import TEXT_LIMIT_BYTES, truncate_text
from parvis.common.text.language import detect_language
from parvis.common.text.reply_channels import find_stated_reply_channels
from parvis.ingest_email.models.parsed_mail import ParsedMail
from parvis.ingest_email.parse.machine_sent import is_machine_address

_FILE_NAMES_CHARACTERS = 4000
_UNPROVEN = Verification(level="none", evidence="named in a form of a site")
_CLAIM_BYTES = 500  # room for the claim check of a text that does not fit


@dataclass(frozen=True)
class TownMailConfig:
    """The domain and key of our tokens, our own addresses and numbers, and the key of the sender hashes."""

    mail_domain: str
    signing_key: bytes
    hashing_key: bytes
    own_addresses: frozenset[str]
    own_numbers: frozenset[str] = frozenset()


@dataclass(frozen=True)
class MailDelivery:
    """The delivery of a mail to one of our mailboxes. `client`: the address that it came from; empty if only our own server is known."""

    contact_id: ContactId
    mailbox: str
    envelope_sender: str
    received_at: datetime
    recorded_at: datetime
    original: ClaimCheck
    attachments: tuple[ClaimCheck, ...]
    sender: Verification
    client: str = ""


def build_contact(mail: ParsedMail, arrival: MailDelivery, keys: TownMailConfig) -> ContactReceived:
    """Turn a mail into a contact.

    Gives:  a contact whatever the mail: without a readable sender it has no contact point, and `unreadable` says what failed.
            The text is as much of it as fits into 64 KiB of event.
    Retry:  the same mail to the same mailbox gives the same contact.
    """
    is_form = _is_site_form(mail, arrival, keys)
    sender = _sender_point(mail, arrival, is_form=is_form)
    made = ContactReceived(
        contact_id=arrival.contact_id,
        reference=make_reference(arrival.contact_id),
        channel="email",
        received_at=arrival.received_at,
        recorded_at=arrival.recorded_at,
        to=arrival.mailbox,
        language=detect_language(mail.text),
        sender=_UNPROVEN if is_form else arrival.sender,
        machine=None if is_form else _machine_sent(mail, arrival, keys),
        thread=_thread(mail, keys),
        original=arrival.original,
        attachments=tuple(
            Attachment.from_claim_check(claim, trouble=attachment.trouble, inline=attachment.inline)
            for claim, attachment in zip(arrival.attachments, mail.attachments, strict=False)
        ),
        remarks=_remarks(mail, arrival, sender, keys),
        unreadable=mail.trouble[:200] if mail.trouble else None,
        contact_point_hash=hash_contact_point(sender, keys.hashing_key) if sender else None,
        sources=hash_sources(_sources(arrival, None if is_form else sender), arrival.received_at, keys.hashing_key),
        personal=ContactPersonalData.model_validate(
            {
                "from": sender,
                "display_name": "" if is_form else mail.sender_name[:400],
                "subject": mail.subject,
                "file_names": _file_names(mail, len(arrival.attachments)),
                "reply_channels": _reply_channels(mail, sender, keys),
            }
        ),
    )
    room = EVENT_LIMIT_BYTES - _CLAIM_BYTES - len(made.model_dump_json(exclude_none=True, by_alias=True).encode())
    signature = truncate_to_json_bytes(
        mail.signature, room // 4
    )  # short: only where ids and names have taken all it is clipped
    room -= _json_bytes(signature)
    text = truncate_to_json_bytes(mail.text, min(room, TEXT_LIMIT_BYTES))
    texts = {
        "text": text,
        "signature": signature,
        "quoted": truncate_to_json_bytes(mail.quoted, room - _json_bytes(text)),
    }
    return made.model_copy(update={"personal": made.personal.model_copy(update=texts)})


def truncate_to_json_bytes(text: str, room_bytes: int) -> str:
    """Cut a text to a size in JSON, where a quote or a line feed takes two bytes."""
    truncated = truncate_text(text)
    while truncated and (size := _json_bytes(truncated)) > room_bytes:
        truncated = truncated[: min(len(truncated) - 1, max(0, len(truncated) * room_bytes // size))]
    return truncated


def _json_bytes(text: str) -> int:
    return len(json.dumps(text, ensure_ascii=False).encode()) - 2


def _is_site_form(mail: ParsedMail, arrival: MailDelivery, keys: TownMailConfig) -> bool:
    """Whether a person wrote it in a form: a site must write From its own domain (DMARC), and names the person in Reply-To.

    Not what answers a mail, nor what failed DMARC: a forged mail of the staff, say, or the notice of an agent's own program.
    """
    writer, person = mail.sender.lower(), mail.reply_to.lower()
    is_of_a_site = _is_own_address(writer, keys) or is_machine_address(writer)
    is_a_person = "@" in person and not (_is_own_address(person, keys) or is_machine_address(person))
    elsewhere = person.rpartition("@")[2] != writer.rpartition("@")[2]
    is_first = bool(arrival.envelope_sender) and not mail.in_reply_to and arrival.sender.dmarc != "fail"
    ours = conversation_id_of_message_id(mail.message_id, keys.mail_domain, keys.signing_key)
    may_be = mail.report is None and mail.machine in (None, "robot-address", "auto-submitted")
    return is_of_a_site and is_a_person and elsewhere and is_first and may_be and not ours


def _sources(arrival: MailDelivery, sender: ContactPoint | None) -> tuple[str, ...]:
    """The sender, if proved; else the client's network, for anybody may write any address."""
    if sender and arrival.sender.level == "domain":
        return mail_sources(sender.value)
    return network_sources(arrival.client) if arrival.client else (UNPROVED_MAIL,)


def _sender_point(mail: ParsedMail, arrival: MailDelivery, *, is_form: bool) -> ContactPoint | None:
    """Return the From address, without one the envelope sender; in a site's form the address in Reply-To.

    One that is no valid address is nobody's: it is never repaired, and no other takes its place.
    """
    if is_form:
        return _email_point(mail.reply_to)
    return _email_point(mail.sender if "@" in mail.sender else arrival.envelope_sender)


def _email_point(address: str) -> ContactPoint | None:
    try:
        return email_contact_point(address)
    except Rejected:
        return None


def _machine_sent(mail: ParsedMail, arrival: MailDelivery, keys: TownMailConfig) -> MachineSent | None:
    """Return why no automatic reply may be sent; replying to our own mail would be the shortest loop."""
    if conversation_id_of_message_id(mail.message_id, keys.mail_domain, keys.signing_key):
        return MachineSent(reason="own-mail")
    if any(_is_own_address(address, keys) for address in (mail.sender, arrival.envelope_sender)):
        return MachineSent(reason="own-address")
    if not arrival.envelope_sender:
        return MachineSent(reason=mail.machine or "null-sender")
    reason = mail.machine or ("robot-address" if is_machine_address(arrival.envelope_sender) else None)
    return MachineSent(reason=reason) if reason else None


def _is_own_address(address: str, keys: TownMailConfig) -> bool:
    """Whether this is one of our own addresses, with or without a +tag; bounce addresses are."""
    local, _, domain = address.lower().rpartition("@")
    base = local.partition("+")[0]
    return f"{base}@{domain}" in keys.own_addresses or (base == "bounce" and domain == keys.mail_domain.lower())


def _remarks(
    mail: ParsedMail, arrival: MailDelivery, sender: ContactPoint | None, keys: TownMailConfig
) -> tuple[str, ...]:
    """Collect the remarks for agents, including a failed authentication of the sender and a Reply-To that is not From."""
    failed = ("dmarc-failed",) if arrival.sender.dmarc == "fail" else ()
    reply_to = _reply_to_point(mail, keys)
    return (
        *mail.remarks,
        *failed,
        *((OTHER_REPLY_TO,) if reply_to and reply_to != sender else ()),
    )


def _thread(mail: ParsedMail, keys: TownMailConfig) -> ConversationIdentifiers:
    """Find the conversation by our signed token; quoted references are passed on but prove nothing."""
    conversations = (
        conversation_id_of_message_id(conversation_id, keys.mail_domain, keys.signing_key)
        for conversation_id in mail.in_reply_to
    )
    quoted = find_references(f"{mail.subject}\n{mail.text}\n{mail.quoted}")
    return ConversationIdentifiers(
        conversation_id=next((conversation_id for conversation_id in conversations if conversation_id), None),
        reference=next(iter(quoted), None),
        message_id=mail.message_id or None,
        in_reply_to=mail.in_reply_to,
    )


def _reply_to_point(mail: ParsedMail, keys: TownMailConfig) -> ContactPoint | None:
    """Return the address in Reply-To. One of ours, as after a click on “reply to all”, is nobody's: nothing is sent there."""
    return None if _is_own_address(mail.reply_to, keys) else _email_point(mail.reply_to)


def _reply_channels(mail: ParsedMail, sender: ContactPoint | None, keys: TownMailConfig) -> tuple[ReplyAddress, ...]:
    """Return the channel that the text asks for, else Reply-To if it differs from the sender."""
    reply_to, own = _reply_to_point(mail, keys), keys.own_addresses | keys.own_numbers
    if stated := find_stated_reply_channels(mail.text, sender=reply_to or sender, own=own):
        return stated
    return (ReplyAddress(channel="email", address=reply_to.value),) if reply_to and reply_to != sender else ()


def _file_names(mail: ParsedMail, count: int) -> Sequence[str]:
    """Return the file names, shortened equally if there are many: they share the size of the event with the text."""
    longest = max(12, _FILE_NAMES_CHARACTERS // max(1, count))
    return tuple(attachment.name[-longest:] for attachment in mail.attachments[:count])
