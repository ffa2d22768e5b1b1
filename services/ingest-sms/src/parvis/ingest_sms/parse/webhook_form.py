"""Parses Twilio's webhook forms: checks their shape, and reads an InboundMessage from them. Pure; no I/O."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal
from urllib.parse import parse_qsl

from parvis.common.contract.contact import ContactId, ContactPoint, make_contact_id
from parvis.common.contract.contact_points import phone_contact_point
from parvis.common.contract.errors import Rejected

WHATSAPP = "whatsapp:"
MAX_MEDIA = 10  # MediaUrl0 to MediaUrl9: Twilio's own limit

_MESSAGE_SID = re.compile(r"(?:SM|MM)[0-9a-f]{32}")
_FIELD_NAMES = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}(?:&[A-Za-z][A-Za-z0-9_]{0,63})*")
_MAX_FIELDS = 200

FormFields = list[tuple[str, str]]


@dataclass(frozen=True)
class MediaReference:
    """One file that came with a message: its address at Twilio, and the media type that the form declares."""

    url: str
    declared_type: str


@dataclass(frozen=True)
class WebhookForm:
    """The fields that every webhook form of Twilio's has, checked."""

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
        """The same on every delivery of the same MessageSid to the same number."""
        return make_contact_id("sms", self.value("To"), self.message_sid)

    @cached_property
    def sender(self) -> ContactPoint | None:
        """The citizen's number; None for a short code or an alphanumeric sender, which nobody can answer."""
        try:
            return phone_contact_point(self.value("From").removeprefix(WHATSAPP))
        except Rejected:
            return None

    @cached_property
    def media(self) -> tuple[MediaReference, ...]:
        """The files that have an address, in their order, whatever NumMedia says."""
        if not any(name.startswith("MediaUrl") for name in self.values):
            return ()  # nearly every message
        numbered = ((self.value(f"MediaUrl{n}"), self.value(f"MediaContentType{n}")) for n in range(MAX_MEDIA))
        return tuple(MediaReference(url, declared) for url, declared in numbered if url)

    @property
    def media_missing(self) -> int:
        """How many files NumMedia counts that have no address."""
        counted = self.value("NumMedia")
        if counted in ("", "0"):
            return 0
        return max(0, int(counted) - len(self.media)) if counted.isascii() and counted.isdigit() else 0


def parse_form_fields(body: bytes) -> FormFields:
    """The fields of a form in their order, with blank values and without any trimming: the signature covers them all.

    Raises: Rejected, for more fields than Twilio ever sends.
    """
    try:
        return parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError as error:
        raise Rejected("not a form of Twilio's") from error


def find_account_sid(fields: FormFields) -> str:
    """The account that a form names, before it is verified: its token must have signed the form."""
    return next((value for name, value in fields if name == "AccountSid"), "")


def is_whatsapp_form(fields: FormFields) -> bool:
    return any(name in ("From", "To") and value.startswith(WHATSAPP) for name, value in fields)


def parse_webhook_form(fields: FormFields, accounts: frozenset[str]) -> WebhookForm:
    """Check the shape of a signed form.

    A signature covers names and values run together, so that AB=C is signed like A=BC: hence the strict shape.
    Raises: Rejected, without our AccountSid or a well-formed MessageSid, with one of them twice, or with a malformed field name.
    """
    names = [name for name, _ in fields]
    for name in ("AccountSid", "MessageSid", "To", "From"):
        if names.count(name) > 1:
            raise Rejected(f"{name} comes twice")
    if not _FIELD_NAMES.fullmatch("&".join(names)):
        raise Rejected("a field has a name that is none of Twilio's")
    values = dict(fields)
    if values.get("AccountSid") not in accounts:
        raise Rejected("AccountSid is not ours")
    if not _MESSAGE_SID.fullmatch(values.get("MessageSid", "")):
        raise Rejected("MessageSid is missing or malformed")
    return WebhookForm(values["MessageSid"], values)


def parse_inbound_message(fields: FormFields, accounts: frozenset[str]) -> InboundMessage:
    """The message that a signed form brings. Raises: Rejected, as parse_webhook_form."""
    form = parse_webhook_form(fields, accounts)
    return InboundMessage(form.message_sid, form.values)


def find_reply_id(query: Sequence[tuple[str, str]]) -> str:
    """The reply that a callback's URL names; the notifier put it there, and the signature covers it."""
    return next((value for name, value in query if name == "reply"), "")
