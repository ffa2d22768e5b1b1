"""Parses Twilio's webhook forms: checks their shape, and reads an InboundMessage from them. Pure; no I/O."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal
from urllib.parse import parse_qsl

from parvis.common.contract.contact import ContactId, ContactPoint, make_contact_id
from parvis.common.contract.errors import Rejected
from parvis.common.contract.normalize_contact_points import phone_contact_point

WHATSAPP = "whatsapp:"
MAX_MEDIA = 10  # MediaUrl0 to MediaUrl9: Twilio's own limit

_MESSAGE_SID = re.compile(r"(?:SM|MM)[0-9a-f]{32}")
_FIELD_NAMES = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}(?:&[A-Za-z][A-Za-z0-9_]{0,63})*")
_WHATSAPP_USER = re.compile(r"whatsapp:[A-Z]{2}\.[A-Za-z0-9.]{1,128}")
# The fields that a message is read from, and those of Twilio that begin alike.
_READ_NAMES = ("AccountSid", "Body", "From", "MessageSid", "NumMedia", "OptOutType", "To")
_READ_BEGINNINGS = (*_READ_NAMES, "MediaContentType", "MediaUrl")
_ALIKE = re.compile(r"(?:From|To)(?:City|Country|State|Zip)|Media(?:ContentType|Url)[0-9]{1,2}")
# The fields that Twilio signs before the text: one of another shape has swallowed it (`ApiVersion=2010-04-01Bodyhi`).
_BEFORE_BODY = {"AddOns": re.compile(r"\{.*\}", re.DOTALL), "ApiVersion": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")}
_MAX_FIELDS = 200

_STATUS_OF_MESSAGES = ("", "received", "receiving")

FormFields = list[tuple[str, str]]


@dataclass(frozen=True)
class MediaReference:
    """One file of a message: its URL at Twilio and the media type that the form declares."""

    url: str
    declared_type: str


@dataclass(frozen=True)
class WebhookForm:
    """A checked webhook form."""

    message_sid: str
    values: dict[str, str]

    def value(self, name: str) -> str:
        return self.values.get(name, "")

    @property
    def account_sid(self) -> str:
        return self.value("AccountSid")


@dataclass(frozen=True)
class InboundMessage(WebhookForm):
    """A message that a citizen sent to one of our numbers."""

    @property
    def channel(self) -> Literal["sms", "whatsapp"]:
        return "whatsapp" if self.value("From").startswith(WHATSAPP) else "sms"

    @cached_property
    def contact_id(self) -> ContactId:
        """The contact id, the same for every delivery of one MessageSid to one number."""
        return make_contact_id("sms", self.value("To"), self.message_sid)

    @cached_property
    def sender(self) -> ContactPoint | None:
        """The citizen's number; None for a short code or an alphanumeric sender, which cannot receive a reply."""
        try:
            return phone_contact_point(self.value("From").removeprefix(WHATSAPP))
        except Rejected:
            return None

    @cached_property
    def pseudonymous_point(self) -> ContactPoint | None:
        """What a hash of the sender is made of: the number, or the user id of somebody on WhatsApp who hides it (`FR.2782…`)."""
        if self.sender or not _WHATSAPP_USER.fullmatch(self.value("From")):
            return self.sender
        return ContactPoint(kind="phone", value=self.value("From"))

    @cached_property
    def media(self) -> tuple[MediaReference, ...]:
        """The files that have a URL, in order; NumMedia is not used."""
        if not any(name.startswith("MediaUrl") for name in self.values):
            return ()  # the usual case, kept fast
        numbered = ((self.value(f"MediaUrl{n}"), self.value(f"MediaContentType{n}")) for n in range(MAX_MEDIA))
        return tuple(MediaReference(url, declared) for url, declared in numbered if url)

    @property
    def media_missing(self) -> int:
        """The number of files that NumMedia counts and that have no URL."""
        counted = self.value("NumMedia")
        is_count = counted.isascii() and counted.isdigit() and len(counted) < 4
        return max(0, int(counted) - len(self.media)) if is_count else 0


def parse_form_fields(body: bytes) -> FormFields:
    """Parse the fields in order, untrimmed and with blank values: the signature covers them all.

    Raises: Rejected, for more fields than Twilio ever sends.
    """
    try:
        return parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError as error:
        raise Rejected("the form has too many fields") from error


def find_account_sid(fields: FormFields) -> str:
    """The account SID of a form that is not verified yet; it selects the tokens for the verification. Empty without one."""
    return next((value for name, value in fields if name == "AccountSid"), "")


def is_whatsapp_form(fields: FormFields) -> bool:
    return any(name in ("From", "To") and value.startswith(WHATSAPP) for name, value in fields)


def parse_webhook_form(fields: FormFields, accounts: frozenset[str]) -> WebhookForm:
    """Check the shape of a signed form.

    Twilio signs names and values without separators, so that AB=C and A=BC have the same signature: hence the strict checks.
    Raises: Rejected, without our AccountSid or a well-formed MessageSid, with a field twice that must be unique, or with a malformed name.
    """
    names = [name for name, _ in fields]
    for name in ("AccountSid", "MessageSid", "To", "From"):
        if names.count(name) > 1:
            raise Rejected(f"{name} occurs twice")
    if not _FIELD_NAMES.fullmatch("&".join(names)):
        raise Rejected("a field name is malformed")
    if any(_is_cut_anew(name, value) for name, value in fields):
        raise Rejected("a field is unknown and begins like one of Twilio's")
    values = dict(fields)
    if any(name in values and not shape.fullmatch(values[name]) for name, shape in _BEFORE_BODY.items()):
        raise Rejected("a field has swallowed the next one")
    if values.get("AccountSid") not in accounts:
        raise Rejected("AccountSid is not one of ours")
    if not _MESSAGE_SID.fullmatch(values.get("MessageSid", "")):
        raise Rejected("MessageSid is missing or malformed")
    return WebhookForm(values["MessageSid"], values)


def refuse_status_report(message: InboundMessage) -> None:
    """Raises: Rejected, for a report of a message of ours that came to the URL of citizens' messages."""
    if message.value("MessageStatus") or message.value("SmsStatus") not in _STATUS_OF_MESSAGES:
        raise Rejected("a status report at the URL of messages: it belongs to /sms/status")


def _is_cut_anew(name: str, value: str) -> bool:
    """Whether a field may be another one whose name ended elsewhere: `B=odyhi` and `Bodyhi=` for `Body=hi`."""
    return name not in _READ_NAMES and not _ALIKE.fullmatch(name) and (name + value).startswith(_READ_BEGINNINGS)


def parse_inbound_message(fields: FormFields, accounts: frozenset[str]) -> InboundMessage:
    """Parse the message of a signed form. Raises: Rejected, as parse_webhook_form, and without From or To, which a text may have swallowed."""
    form = parse_webhook_form(fields, accounts)
    if not {"From", "To"} <= form.values.keys():
        raise Rejected("From or To is missing")
    return InboundMessage(form.message_sid, form.values)


def find_reply_id(query: Sequence[tuple[str, str]]) -> str:
    """The reply id in a callback's query, empty without one. The notifier put it there, and the signature covers it."""
    return next((value for name, value in query if name == "reply"), "")
