"""Finds the channel, address and language of a reply from the contacts of a case. Pure; no I/O."""

from collections.abc import Sequence

from parvis.common.contract.channels import channel, channels
from parvis.common.contract.contact import ContactPoint
from parvis.common.town.models import TownConfig
from parvis.desk.models.case import CaseContact, ReplyRecipient


def find_recipient(contacts: Sequence[CaseContact]) -> ReplyRecipient:
    """The recipient of a reply: the last one that the citizen stated, else the address of their last contact.

    A preference stored by the notifier may still change it; the desk does not know those.
    """
    for opened in reversed(contacts):
        for stated in opened.contact.personal.reply_channels:
            return ReplyRecipient(stated.channel, stated.address, "stated")
    for opened in reversed(contacts):
        point = opened.contact.personal.from_
        if point:
            return ReplyRecipient(_channel_for(point, opened.contact.channel), point.value, "contact")
    return ReplyRecipient("", "", "unknown")


def latest_message_id(contacts: Sequence[CaseContact]) -> str | None:
    """The Message-ID of the latest mail, for In-Reply-To."""
    return next((o.contact.thread.message_id for o in reversed(contacts) if o.contact.thread.message_id), None)


def reply_language(contacts: Sequence[CaseContact], town_config: TownConfig) -> str:
    """The language of the reply template: the citizen's, if the town supports it."""
    language = next((o.contact.language for o in reversed(contacts) if o.contact.language), None)
    return town_config.town.supported_language(language)


def _channel_for(point: ContactPoint, channel_of_contact: str) -> str:
    """The usual reply channel for such contacts if it can send to the address; else the first channel that can."""
    usual = channel(channel_of_contact).reply_channel
    if usual and channel(usual).contact_point_kind == point.kind:
        return usual
    return next(row.name for row in channels() if row.is_sent and row.contact_point_kind == point.kind)
