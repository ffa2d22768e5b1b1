"""What the pages are made of, and how one is shown."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contract.preference import PreferenceChanged
from parvis.common.contract.reply import ReplyRequested
from parvis.common.storage.blobs import BlobStore
from parvis.common.storage.postgres import Database
from parvis.common.town.models import TownConfig
from parvis.notifier.decide.channel_choice import Addressing
from parvis.notifier.decide.preferences import Kept
from parvis.notifier.models.sender_ports import Channel
from parvis.notifier.render.message_renderer import Renderer
from parvis.web.http import language_switch_url, negotiate_language, remember_language
from parvis.web.pages import PageRenderer

Say = Callable[[AsyncConnection, Mapping[str, PreferenceChanged]], Awaitable[None]]
KeptFor = Callable[[AsyncConnection, Sequence[ReplyRequested]], Awaitable[Kept]]


@dataclass(frozen=True)
class Place:
    """What a page may need. `say` keeps a preference and tells it, `told` has it leave at once; `kept_for` reads them."""

    town_config: TownConfig
    pages: PageRenderer
    renderer: Renderer
    database: Database
    addressing: Addressing
    blobs: BlobStore
    channels: Mapping[str, Channel]
    say: Say
    told: Callable[[], None]
    kept_for: KeptFor
    town_url: str
    key: bytes

    @property
    def public_url(self) -> str:
        return self.renderer.public_url

    def show(self, request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """A page in the reader's language, which no search engine keeps."""
        language = negotiate_language(request, self.pages.town)
        html = self.pages.render(template, language, switch=language_switch_url(request, self.pages), **values)
        response = HTMLResponse(html, status_code=status, headers={"x-robots-tag": "noindex"})
        remember_language(request, response, self.pages.town)
        return response
