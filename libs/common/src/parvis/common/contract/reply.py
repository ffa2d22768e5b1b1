"""Something to be sent to a citizen, and how they prefer to get it. Pure; no I/O."""

import base64
import hashlib
import hmac
import uuid
from typing import ClassVar, Literal, NewType

from pydantic import AwareDatetime, Field

from parvis.common.contract.contact import (
    ClaimCheck,
    ContactPoint,
    ConversationId,
    DepartmentSlug,
    Event,
    Language,
    Model,
    Reference,
    ReplyAddress,
    ReplyChannel,
)
from parvis.common.contract.ids import deterministic_id

ReplyId = NewType("ReplyId", str)
ReplyKind = Literal["registration", "receipt", "answer", "question", "transfer", "status"]

# `source` of what was said by text message. Who asks for help says nothing about what may be sent to them.
SMS_STOP, SMS_START, SMS_HELP = "sms-stop", "sms-start", "sms-help"
# `source` of what the notifier learns by sending: a complaint, the provider's own list of who said STOP, an address where
# nothing arrives any more, and one where something does again. The last two are no word on opting out.
COMPLAINT, PROVIDER_STOP, UNDELIVERABLE, REACHED = "complaint", "provider-stop", "undeliverable", "reached"

_NAMESPACE = uuid.UUID("c3d6b6b4-8f0e-5d2a-a1c6-0c6f2a5f4b10")
_TOKEN_BYTES = 10  # 80 bits: out of reach for guessing over mail, short enough for a plus-address


class PersonalReply(Model):
    """All that is personal in a reply."""

    contact_points: tuple[ContactPoint, ...] = Field(
        default=(), description="where the contact came from; none: see `addressed_as`"
    )
    stated: tuple[ReplyAddress, ...] = Field(default=(), description="the preference stated with the contact, in order")
    variables: dict[str, str] = Field(default_factory=dict, description="for the template")
    text: str = Field(default="", description="an agent's own words; empty when a template speaks")
    in_reply_to: str | None = Field(default=None, description="Message-ID of the mail that is answered")
    file_names: tuple[str, ...] = Field(default=(), description="of the attachments, in their order")


class ReplyRequested(Event):
    """Send this to the citizen of that conversation."""

    TYPE: ClassVar[str] = "reply.requested"

    reply_id: ReplyId
    conversation_id: ConversationId
    reference: Reference
    kind: ReplyKind
    department: DepartmentSlug
    procedure: str | None = Field(default=None, description="whose own templates go first", max_length=60)
    channel_of_contact: str = Field(
        description="where the citizen last wrote: the answer's channel, nothing else stated"
    )
    addressed_as: ConversationId | None = Field(
        default=None,
        description="with no contact point: to whom the earlier replies of this conversation went; to nobody, if none did",
    )
    template: str | None = None
    language: Language = "fr"
    legal: bool = Field(description="owed by law: an opt-out moves it to another channel, never blocks it")
    send_at: AwareDatetime = Field(description="hold until then")
    send_by: AwareDatetime | None = Field(
        default=None, description="quiet hours are obeyed up to then; none: a day after send_at for what the law owes"
    )
    requested_at: AwareDatetime
    requested_by: str = Field(description="the service, or the agent's account", max_length=80)
    attachments: tuple[ClaimCheck, ...] = ()
    personal: PersonalReply


class QuietHours(Model):
    start: str = Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$", examples=["20:00"])
    end: str = Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$", examples=["08:00"])


class PersonalPreference(Model):
    contact_point: ContactPoint
    reply_channels: tuple[ReplyAddress, ...] = Field(default=(), description="in order of preference")


class PreferenceChanged(Event):
    """A citizen said how they want to be reached, or not."""

    TYPE: ClassVar[str] = "preference.changed"

    contact_point_hash: str
    opt_outs: tuple[ReplyChannel, ...] = Field(default=(), description="all of them, as they stand after this word")
    language: Language | None = Field(default=None, description="none: nothing was said of it, the word before counts")
    quiet_hours: QuietHours | None = Field(default=None, description="the same; from and to the same hour: none wanted")
    large_print: bool | None = Field(default=None, description="letters in large type; none: nothing was said of it")
    source: str = Field(description="where it was said", examples=["sms-stop", "unsubscribe", "counter"], max_length=40)
    evidence: ClaimCheck | None = None
    detail: str = Field(default="", description="what shows it: a code, a delivery; no personal data", max_length=200)
    changed_at: AwareDatetime
    personal: PersonalPreference


def make_reply_id(*parts: str) -> ReplyId:
    """The id of a reply, from what caused it: asked for twice, it is one reply."""
    return ReplyId(deterministic_id(_NAMESPACE, "\x1f".join(parts)))


def sign_token(subject: str, purpose: str, key: bytes) -> str:
    """A short token that proves that we wrote `subject` for `purpose`: lower-case, safe in a mail's local part."""
    digest = hmac.new(key, f"{purpose}\x1f{subject}".encode(), hashlib.sha256).digest()[:_TOKEN_BYTES]
    return base64.b32encode(digest).decode().lower()


def is_valid_token(subject: str, purpose: str, token: str, key: bytes) -> bool:
    """Whether `token` is ours, compared in constant time; case is forgiven, mail servers fold it."""
    return hmac.compare_digest(sign_token(subject, purpose, key).encode(), token.lower().encode("utf-8", "replace"))


def make_message_id(reply: ReplyId, conversation: ConversationId, domain: str, key: bytes) -> str:
    """The Message-ID of a reply by mail: deterministic, and the signed thread token of its conversation."""
    local = f"{reply}.{conversation}"
    return f"<{local}.{sign_token(local, 'thread', key)}@{domain}>"


def conversation_id_of_message_id(message_id_text: str, domain: str, key: bytes) -> ConversationId | None:
    """The conversation that one of our own Message-IDs names; none when we did not sign it."""
    local, _, at = message_id_text.strip().strip("<>").rpartition("@")
    subject, _, token = local.rpartition(".")
    if at.lower() != domain.lower() or not subject or not is_valid_token(subject, "thread", token, key):
        return None
    return ConversationId(subject.rpartition(".")[2])


def make_bounce_address(reply: ReplyId, domain: str, key: bytes) -> str:
    """The envelope sender of a reply (VERP): a bounce that comes back names its reply without being parsed."""
    return f"bounce+{reply}.{sign_token(reply, 'bounce', key)}@{domain}"


def reply_id_of_bounce_address(address: str, key: bytes) -> ReplyId | None:
    """The reply whose bounce address this is; none when we did not sign it."""
    local, _, _ = address.strip("<>").rpartition("@")
    prefix, _, rest = local.partition("+")
    subject, _, token = rest.rpartition(".")
    if prefix.lower() != "bounce" or not subject or not is_valid_token(subject.lower(), "bounce", token, key):
        return None
    return ReplyId(subject.lower())
