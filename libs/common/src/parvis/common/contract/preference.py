"""Defines preference.changed: how a citizen wants to be reached, or not. Pure; no I/O."""

from typing import ClassVar

from pydantic import AwareDatetime, Field

from parvis.common.contract.contact import ClaimCheck, ContactPoint, Language, ReplyAddress, ReplyChannel
from parvis.common.contract.event import Event, Model

# `source` of what was said by text message. Who asks for help says nothing about what may be sent to them.
SMS_STOP, SMS_START, SMS_HELP = "sms-stop", "sms-start", "sms-help"


# `source` of what the notifier learns by sending: a complaint, the provider's own list of who said STOP, an address where
# nothing arrives any more, and one where something does again. The last two are no word on opting out.
COMPLAINT, PROVIDER_STOP, UNDELIVERABLE, REACHED = "complaint", "provider-stop", "undeliverable", "reached"


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
