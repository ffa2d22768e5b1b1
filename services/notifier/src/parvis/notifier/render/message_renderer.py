"""Renders a reply as the message of its channel: SMS, mail, letter, or a notice with a link. Pure; no I/O."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from parvis.common.contract.channels import channel
from parvis.common.contract.delivery import make_delivery_id
from parvis.common.contract.errors import Poison, Rejected
from parvis.common.contract.reply import ReplyPersonalData, ReplyRequested, make_reply_id
from parvis.common.text.sms_encoding import count_segments
from parvis.common.town.models import TownConfig
from parvis.common.town.templates import TemplateSet
from parvis.notifier.models.delivery import Delivery
from parvis.notifier.models.message import AttachedFile, RenderedMessage
from parvis.notifier.render.dkim import DkimSigner
from parvis.notifier.render.letter import render_letter
from parvis.notifier.render.mail import render_mail
from parvis.notifier.render.reply_text import ReplyTextRenderer
from parvis.notifier.render.signed_links import SignedLinks
from parvis.notifier.render.sms import render_sms

_LOCAL_URL = "http://127.0.0.1:8120"


@dataclass(frozen=True)
class MessageRenderer:
    """Renders messages with the town's configuration and templates, its keys, and the address of our pages."""

    town_config: TownConfig
    templates: TemplateSet
    key: bytes
    public_url: str = _LOCAL_URL
    signer: DkimSigner = field(default_factory=lambda: DkimSigner(""))
    inbox_lifetime: timedelta = timedelta(days=90)

    @property
    def links(self) -> SignedLinks:
        return SignedLinks(self.public_url, self.key)

    def render(
        self, reply: ReplyRequested, delivery: Delivery, at: datetime, files: Sequence[AttachedFile] = ()
    ) -> RenderedMessage:
        """Render the bytes of one delivery.

        Raises: Rejected, if the text does not fit the channel.
        """
        row = channel(delivery.channel)
        if row.name == "inbox":
            return self._notice(reply, delivery, "link", {"link": self.inbox_link(reply)}, at)
        files_url = self.inbox_link(reply) if reply.attachments and not files else ""
        text = ReplyTextRenderer(self.town_config, self.templates, reply, files_url)
        match row.template_medium:
            case "email":
                content = self.signer.sign(render_mail(text, delivery, at, key=self.key, links=self.links, files=files))
            case "letter":
                content = render_letter(text, delivery, at, self.key, files)
            case _:
                content = render_sms(text)
        return RenderedMessage(delivery, content, row.media_type or "application/octet-stream")

    def count_segments(self, reply: ReplyRequested, delivery: Delivery, at: datetime) -> int:
        """The segments of an SMS that are paid for; one if it cannot be rendered, and will fail."""
        try:
            return count_segments(self.render(reply, delivery, at).content.decode())[1]
        except (Rejected, Poison, ValueError, LookupError):
            return 1

    def inbox_link(self, reply: ReplyRequested) -> str:
        """The URL where a reply is read with a code: the same at every attempt, until it expires."""
        return self.links.inbox(reply.reply_id, reply.requested_at + self.inbox_lifetime)

    def render_code(
        self, reply: ReplyRequested, channel_name: str, address: str, digits: str, at: datetime, *, lifetime: timedelta
    ) -> RenderedMessage:
        """Render the message with a one-time code. It is not in the ledger: if it is lost, the citizen requests another."""
        delivery = Delivery(
            delivery_id=make_delivery_id(reply.reply_id, f"code-{channel_name}"),
            reply_id=reply.reply_id,
            conversation_id=reply.conversation_id,
            reference=reply.reference,
            kind="status",
            channel=channel_name,
            address=address,
            address_hash="",
            state="reserved",
            attempt=1,
            send_at=at,
        )
        variables = {
            "code": " ".join(digits[start : start + 4] for start in range(0, len(digits), 4)),
            "minutes": str(lifetime // timedelta(minutes=1)),
            "hours": str(lifetime // timedelta(hours=1)),
        }
        return self._notice(reply, delivery, "code", variables, at)

    def _notice(
        self, reply: ReplyRequested, delivery: Delivery, template: str, variables: dict[str, str], at: datetime
    ) -> RenderedMessage:
        """Render a short message about a reply. It has its own reply id, so that a report on it does not concern the reply itself."""
        notice_id = make_reply_id(template, reply.reply_id, *variables.values())
        personal = ReplyPersonalData(variables=variables)
        changes = {
            "reply_id": notice_id,
            "kind": "status",
            "template": template,
            "legal": True,
            "personal": personal,
            "attachments": (),
        }
        sent_on = "sms" if delivery.channel == "inbox" else delivery.channel
        to = replace(delivery, reply_id=notice_id, kind="status", channel=sent_on)
        message = self.render(reply.model_copy(update=changes), to, at)
        return replace(message, department=reply.department)
