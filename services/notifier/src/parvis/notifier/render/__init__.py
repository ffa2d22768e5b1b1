"""A reply and the town's words in; the bytes that leave, by channel, out. Pure; no I/O."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from parvis.common.directory import Directory, Templates
from parvis.common.reply import ReplyRequested
from parvis.notifier.render.letter import render_letter
from parvis.notifier.render.mail import render_mail
from parvis.notifier.render.sms import render_sms
from parvis.notifier.render.words import Words
from parvis.notifier.rules import Delivery, Parcel


@dataclass(frozen=True)
class Renderer:
    """What replies are written with: the town's directory, its templates, the key of its signatures."""

    directory: Directory
    templates: Templates
    key: bytes

    def render(self, reply: ReplyRequested, delivery: Delivery, at: datetime) -> Parcel:
        """The bytes of one delivery.

        Raises: Rejected, when the text does not fit the channel.
        """
        words = Words(self.directory, self.templates, reply)
        content = _BY_CHANNEL[delivery.channel](words, delivery, at, self.key)
        return Parcel(delivery, content, MEDIA_TYPES[delivery.channel])


MEDIA_TYPES: Mapping[str, str] = {
    "sms": "text/plain; charset=utf-8",
    "email": "message/rfc822",
    "post": "application/pdf",
}

_BY_CHANNEL: Mapping[str, Callable[[Words, Delivery, datetime, bytes], bytes]] = {
    "sms": render_sms,
    "email": render_mail,
    "post": render_letter,
}
