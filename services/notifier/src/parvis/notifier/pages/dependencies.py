"""Defines the dependencies of the pages, and renders a page in the reader's language."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse

from parvis.common.storage.outbox import Outbox
from parvis.common.storage.postgres import Database
from parvis.common.town.models import TownConfig
from parvis.notifier.decide.channel_choice import ChannelChooser
from parvis.notifier.fetch.attachments import Attachments
from parvis.notifier.models.sender_ports import ChannelSender
from parvis.notifier.render.message_renderer import MessageRenderer
from parvis.notifier.store.delivery_ledger import DeliveryLedger
from parvis.web.language_negotiation import language_switch_url, negotiate_language, remember_language
from parvis.web.pages import PageRenderer


@dataclass(frozen=True)
class PageDependencies:
    """The objects that the notifier's pages use."""

    town_config: TownConfig
    pages: PageRenderer
    renderer: MessageRenderer
    database: Database
    chooser: ChannelChooser
    attachments: Attachments
    senders: Mapping[str, ChannelSender]
    ledger: DeliveryLedger
    outbox: Outbox
    town_url: str
    key: bytes

    @property
    def public_url(self) -> str:
        return self.renderer.public_url

    def render_page(self, request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """Render a page in the reader's language, closed to search engines."""
        language = negotiate_language(request, self.pages.town)
        html = self.pages.render(
            template, language, language_switch_url=language_switch_url(request, self.pages), **values
        )
        response = HTMLResponse(html, status_code=status, headers={"x-robots-tag": "noindex"})
        remember_language(request, response, self.pages.town)
        return response
