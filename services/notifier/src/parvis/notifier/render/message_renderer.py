"""A reply and the town's words in; the bytes that leave, by channel, out. Pure; no I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from parvis.common.contract.delivery import make_delivery_id
from parvis.common.contract.reply import PersonalReply, ReplyRequested, make_reply_id
from parvis.common.town.models import TownConfig
from parvis.common.town.templates import TemplateSet
from parvis.notifier.models.delivery import Delivery
from parvis.notifier.models.message import Enclosure, Parcel
from parvis.notifier.render.dkim import Signer
from parvis.notifier.render.letter import render_letter
from parvis.notifier.render.mail import render_mail
from parvis.notifier.render.reply_text import Words
from parvis.notifier.render.signed_links import Links
from parvis.notifier.render.sms import render_sms

MEDIA_TYPES: Mapping[str, str] = {
    "sms": "text/plain; charset=utf-8",
    "email": "message/rfc822",
    "post": "application/pdf",
    "inbox": "text/plain; charset=utf-8",
}
_LOCAL = "http://127.0.0.1:8120"


@dataclass(frozen=True)
class Renderer:
    """What replies are written with: the town's directory, its templates, the key of its signatures, where our pages are."""

    town_config: TownConfig
    templates: TemplateSet
    key: bytes
    public_url: str = _LOCAL
    signer: Signer = field(default_factory=lambda: Signer(""))
    kept_for: timedelta = timedelta(days=90)

    @property
    def links(self) -> Links:
        return Links(self.public_url, self.key)

    def render(
        self, reply: ReplyRequested, delivery: Delivery, at: datetime, enclosures: Sequence[Enclosure] = ()
    ) -> Parcel:
        """The bytes of one delivery.

        Raises: Rejected, when the text does not fit the channel.
        """
        files_at = self.link_to(reply) if reply.attachments and not enclosures else ""
        words = Words(self.town_config, self.templates, reply, files_at)
        match delivery.channel:
            case "email":
                mail = render_mail(words, delivery, at, key=self.key, links=self.links, enclosures=enclosures)
                content = self.signer.sign(mail)
            case "post":
                content = render_letter(words, delivery, at, self.key)
            case "inbox":
                return self._notice(reply, delivery, "link", {"link": self.link_to(reply)}, at)
            case _:
                content = render_sms(words)
        return Parcel(delivery, content, MEDIA_TYPES[delivery.channel])

    def link_to(self, reply: ReplyRequested) -> str:
        """Where a reply is read with a code: the same address at every attempt, until its time is over."""
        return self.links.inbox(reply.reply_id, reply.requested_at + self.kept_for)

    def code(
        self, reply: ReplyRequested, channel: str, address: str, digits: str, at: datetime, *, minutes: int
    ) -> Parcel:
        """The message that brings the code for a reply. It stands in no ledger: nothing is promised of it."""
        delivery = Delivery(
            delivery_id=make_delivery_id(reply.reply_id, f"code-{channel}"),
            reply_id=reply.reply_id,
            conversation_id=reply.conversation_id,
            reference=reply.reference,
            kind="status",
            channel=channel,
            address=address,
            address_hash="",
            state="reserved",
            attempt=1,
            send_at=at,
        )
        return self._notice(reply, delivery, "code", {"code": digits, "minutes": str(minutes)}, at)

    def _notice(
        self, reply: ReplyRequested, delivery: Delivery, template: str, variables: dict[str, str], at: datetime
    ) -> Parcel:
        """A few words about a reply. What a provider says of them says nothing about the reply itself: they have their own id."""
        own = make_reply_id(template, reply.reply_id, *variables.values())
        personal = PersonalReply(variables=variables)
        about = {
            "reply_id": own,
            "kind": "status",
            "template": template,
            "legal": True,
            "personal": personal,
            "attachments": (),
        }
        channel = "sms" if delivery.channel == "inbox" else delivery.channel
        to = replace(delivery, reply_id=own, kind="status", channel=channel)
        parcel = self.render(reply.model_copy(update=about), to, at)
        return replace(parcel, department=reply.department)
