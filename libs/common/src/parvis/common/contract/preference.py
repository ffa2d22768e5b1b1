"""Defines preference.changed, the event that says how a citizen wants to be reached, or not. Pure; no I/O."""

from typing import ClassVar

from pydantic import AwareDatetime, Field

from parvis.common.contract.contact import ClaimCheck, ContactPoint, Language, ReplyAddress, ReplyChannel
from parvis.common.contract.event_base import Event, Model

# Values of `source` for keywords sent by SMS. HELP changes no preference.
SMS_STOP, SMS_START, SMS_HELP = "sms-stop", "sms-start", "sms-help"

# Values of `source` for what the notifier learns by sending: a spam complaint, the provider's own opt-out list, an address to which
# nothing can be delivered any more, and one to which delivery works again. The last two change no opt-out.
COMPLAINT, PROVIDER_STOP, UNDELIVERABLE, REACHED = "complaint", "provider-stop", "undeliverable", "reached"


class QuietHours(Model):
    """Hours in which nothing that rings is sent, in the town's time zone. The same start and end mean none."""

    start: str = Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$", examples=["20:00"])
    end: str = Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$", examples=["08:00"])


class PreferencePersonalData(Model):
    """All personal data of a preference."""

    contact_point: ContactPoint
    reply_channels: tuple[ReplyAddress, ...] = Field(
        default=(), description="preferred reply channels, first choice first"
    )


class PreferenceChanged(Event):
    """A change in how a citizen wants to be reached."""

    TYPE: ClassVar[str] = "preference.changed"

    contact_point_hash: str = Field(description="HMAC of `personal.contact_point`")
    opt_outs: tuple[ReplyChannel, ...] = Field(default=(), description="all opt-outs in force after this change")
    language: Language | None = Field(default=None, description="preferred language; null: unchanged")
    quiet_hours: QuietHours | None = Field(default=None, description="null: unchanged")
    large_print: bool | None = Field(default=None, description="letters in large type; null: unchanged")
    source: str = Field(description="how we learnt it", examples=["sms-stop", "unsubscribe", "counter"], max_length=40)
    evidence: ClaimCheck | None = None
    detail: str = Field(
        default="", description="provider's code or delivery id that shows it, without personal data", max_length=200
    )
    changed_at: AwareDatetime
    personal: PreferencePersonalData
