"""A reply and the town's words in; the bytes that leave, by channel, out. Pure; no I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from parvis.common.directory import Directory, Templates
from parvis.common.reply import ReplyRequested
from parvis.notifier.render.dkim import Signer
from parvis.notifier.render.letter import render_letter
from parvis.notifier.render.links import Links
from parvis.notifier.render.mail import render_mail
from parvis.notifier.render.sms import render_sms
from parvis.notifier.render.words import Words
from parvis.notifier.rules import Delivery, Enclosure, Parcel

MEDIA_TYPES: Mapping[str, str] = {
    "sms": "text/plain; charset=utf-8",
    "email": "message/rfc822",
    "post": "application/pdf",
}
_LOCAL = "http://127.0.0.1:8120"


@dataclass(frozen=True)
class Renderer:
    """What replies are written with: the town's directory, its templates, the key of its signatures, where our pages are."""

    directory: Directory
    templates: Templates
    key: bytes
    public_url: str = _LOCAL
    signer: Signer = field(default_factory=lambda: Signer(""))

    @property
    def links(self) -> Links:
        return Links(self.public_url, self.key)

    def render(
        self, reply: ReplyRequested, delivery: Delivery, at: datetime, enclosures: Sequence[Enclosure] = ()
    ) -> Parcel:
        """The bytes of one delivery.

        Raises: Rejected, when the text does not fit the channel.
        """
        words = Words(self.directory, self.templates, reply)
        match delivery.channel:
            case "email":
                mail = render_mail(words, delivery, at, key=self.key, links=self.links, enclosures=enclosures)
                content = self.signer.sign(mail)
            case "post":
                content = render_letter(words, delivery, at, self.key)
            case _:
                content = render_sms(words)
        return Parcel(delivery, content, MEDIA_TYPES[delivery.channel])
