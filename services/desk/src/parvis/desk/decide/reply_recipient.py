"""The contacts of a case in, where and in which language an answer goes out. Pure; no I/O."""

from collections.abc import Sequence

from parvis.common.town.models import TownConfig
from parvis.desk.models.case import CaseContact, ReplyRecipient

_CHANNEL_OF_CONTACT = {"sms": "sms", "whatsapp": "sms", "email": "email", "post": "post", "phone": "phone"}
_CHANNEL_OF_KIND = {"phone": "sms", "email": "email", "post": "post"}


def find_recipient(contacts: Sequence[CaseContact]) -> ReplyRecipient:
    """Where the notifier will send: what the citizen last stated, else the address they last wrote from.

    A preference that they keep elsewhere may still change it: the notifier knows those, the desk does not.
    """
    for opened in reversed(contacts):
        for wish in opened.contact.personal.reply_channels:
            return ReplyRecipient(wish.channel, wish.address, "stated")
    for opened in reversed(contacts):
        point = opened.contact.personal.from_
        if point:
            by_contact = _CHANNEL_OF_CONTACT.get(opened.contact.channel)
            fits = by_contact == "phone" or by_contact == _CHANNEL_OF_KIND[point.kind]
            channel = by_contact if by_contact and fits else _CHANNEL_OF_KIND[point.kind]
            return ReplyRecipient(channel, point.value, "contact")
    return ReplyRecipient("", "", "unknown")


def latest_message_id(contacts: Sequence[CaseContact]) -> str | None:
    """The Message-ID of the mail that an answer answers."""
    return next((o.contact.thread.message_id for o in reversed(contacts) if o.contact.thread.message_id), None)


def reply_language(contacts: Sequence[CaseContact], town_config: TownConfig) -> str:
    """The language of an answer's frame: the citizen's, if the town speaks it."""
    language = next((o.contact.language for o in reversed(contacts) if o.contact.language), None)
    return town_config.town.supported_language(language)
