"""The bytes of a webhook in, the message that it tells of out. Pure; no I/O."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import parse_qsl

from parvis.common.contract.contact import ContactId, ContactPoint, make_contact_id
from parvis.common.contract.contact_points import phone_contact_point
from parvis.common.contract.errors import Rejected

WHATSAPP = "whatsapp:"
MOST_MEDIA = 10  # MediaUrl0 to MediaUrl9: Twilio's own limit

_MESSAGE_SID = re.compile(r"(?:SM|MM)[0-9a-f]{32}")
_NAMES = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}(?:&[A-Za-z][A-Za-z0-9_]{0,63})*")
_MOST_FIELDS = 200

Form = list[tuple[str, str]]


@dataclass(frozen=True)
class Media:
    """One file that came with a message: where Twilio keeps it, and what it says that it is."""

    url: str
    declared: str


@dataclass(frozen=True)
class Announcement:
    """What every one of Twilio's forms has, checked: whose it is and which message it tells of."""

    message_sid: str
    values: dict[str, str]

    def value(self, name: str) -> str:
        return self.values.get(name, "")

    @property
    def account(self) -> str:
        return self.value("AccountSid")

    @property
    def is_whatsapp(self) -> bool:
        return self.value("From").startswith(WHATSAPP) or self.value("To").startswith(WHATSAPP)

    @cached_property
    def contact_id(self) -> ContactId:
        """The same MessageSid to the same number is the same contact, on every redelivery."""
        return make_contact_id("sms", self.value("To"), self.message_sid)

    @cached_property
    def sender(self) -> ContactPoint | None:
        """The citizen's number; none for a short code or a name in letters, which nobody can answer."""
        try:
            return phone_contact_point(self.value("From").removeprefix(WHATSAPP))
        except Rejected:
            return None

    @cached_property
    def media(self) -> tuple[Media, ...]:
        """The files, in their order; as many as have an address, whatever NumMedia says."""
        if not any(name.startswith("MediaUrl") for name in self.values):
            return ()  # nearly every message
        numbered = ((self.value(f"MediaUrl{n}"), self.value(f"MediaContentType{n}")) for n in range(MOST_MEDIA))
        return tuple(Media(url, declared) for url, declared in numbered if url)

    @property
    def media_missing(self) -> int:
        """How many files NumMedia counts that have no address."""
        counted = self.value("NumMedia")
        if counted in ("", "0"):
            return 0
        return max(0, int(counted) - len(self.media)) if counted.isascii() and counted.isdigit() else 0


def read_form(body: bytes) -> Form:
    """The fields of a form in their order, with blank values and without any trimming: the signature covers them all.

    Raises: Rejected, for more fields than Twilio ever sends.
    """
    try:
        return parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise Rejected("not a form of Twilio's") from error


def account_in(form: Form) -> str:
    """The account that a form says it is of: its token must have signed it."""
    return next((value for name, value in form if name == "AccountSid"), "")


def announcement(form: Form, accounts: frozenset[str]) -> Announcement:
    """The message that a signed form tells of.

    A signature covers names and values run together, so that AB=C is signed like A=BC: hence the strict shape.
    Raises: Rejected, without our AccountSid or a well-formed MessageSid, with one twice, or with a name no form has.
    """
    names = [name for name, _ in form]
    for name in ("AccountSid", "MessageSid", "To", "From"):
        if names.count(name) > 1:
            raise Rejected(f"{name} comes twice")
    if not _NAMES.fullmatch("&".join(names)):
        raise Rejected("a field has a name that is none of Twilio's")
    values = dict(form)
    if values.get("AccountSid") not in accounts:
        raise Rejected("AccountSid is not ours")
    if not _MESSAGE_SID.fullmatch(values.get("MessageSid", "")):
        raise Rejected("MessageSid is missing or malformed")
    return Announcement(values["MessageSid"], values)


def reply_in(query: Sequence[tuple[str, str]]) -> str:
    """The reply that a callback's URL names; the notifier put it there, and the signature covers it."""
    return next((value for name, value in query if name == "reply"), "")
