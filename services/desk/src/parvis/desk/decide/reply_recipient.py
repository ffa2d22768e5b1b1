"""Finds the channel, address and language of a reply from the contacts of a case. Pure; no I/O."""

from collections.abc import Sequence

from parvis.common.contract.channels import channel, channels
from parvis.common.contract.contact import ContactPoint
from parvis.common.town.models import TownConfig
from parvis.desk.models.case import CaseContact, ReplyRecipient


def find_recipient(contacts: Sequence[CaseContact]) -> ReplyRecipient:
    """Where the notifier will send: what the citizen last stated, else the address they last wrote from.

    A preference that they keep elsewhere may still change it: the notifier knows those, the desk does not.
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
    """The Message-ID of the mail that an answer answers."""
    return next((o.contact.thread.message_id for o in reversed(contacts) if o.contact.thread.message_id), None)


def reply_language(contacts: Sequence[CaseContact], town_config: TownConfig) -> str:
    """The language of an answer's frame: the citizen's, if the town speaks it."""
    language = next((o.contact.language for o in reversed(contacts) if o.contact.language), None)
    return town_config.town.supported_language(language)


def _channel_for(point: ContactPoint, channel_of_contact: str) -> str:
    """The channel that answers contacts of this one, if it reaches the point; else the first that does."""
    usual = channel(channel_of_contact).reply_channel
    if usual and channel(usual).contact_point_kind == point.kind:
        return usual
    return next(row.name for row in channels() if row.is_sent and row.contact_point_kind == point.kind)
