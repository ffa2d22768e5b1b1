"""Provides a citizen in front of the notifier's pages: a browser, a clock, and stored replies."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
from services.notifier.tests.parts import MakeReply, Notifier

from parvis.common.contract.contact import ContactPoint
from parvis.common.contract.reply import ReplyRequested
from parvis.common.runtime.clock import now
from parvis.notifier.app import build_site
from parvis.notifier.render.message_renderer import MessageRenderer

HERE = "http://127.0.0.1:8120"
MAIL = ContactPoint(kind="email", value="celeste@citizens.example")
PHONE = ContactPoint(kind="phone", value="+33639980012")
SECRET = "Votre demande de logement est acceptée."


@dataclass
class Site:
    """The notifier's pages, a citizen's browser, and a clock that tests can set."""

    browser: httpx.AsyncClient
    notifier: Notifier
    renderer: MessageRenderer
    at: datetime

    def path(self, reply: ReplyRequested) -> str:
        return self.renderer.inbox_link(reply).removeprefix(HERE)

    async def ask_code(self, reply: ReplyRequested, to: int = 0) -> httpx.Response:
        return await self.browser.post(f"{self.path(reply)}/code", data={"to": to})

    async def enter(self, reply: ReplyRequested, code: str) -> httpx.Response:
        return await self.browser.post(f"{self.path(reply)}/open", data={"code": code})

    @property
    def codes_by_sms(self) -> list[str]:
        return [
            matches[0].replace(" ", "")
            for message in self.notifier.at_twilio
            if (matches := re.findall(r"code est (\d{4} \d{4} \d{4})", message.body))
        ]


@asynccontextmanager
async def site_of(notifier: Notifier) -> AsyncGenerator[Site]:
    dependencies = notifier.parts.pages()
    transport = httpx.ASGITransport(app=build_site(dependencies))
    async with httpx.AsyncClient(transport=transport, base_url=HERE, headers={"accept-language": "fr"}) as browser:
        made = Site(browser, notifier, notifier.renderer, now())
        dependencies.pages.clock = lambda: made.at
        yield made


async def stored_reply(site: Site, make_reply: MakeReply, **changes: Any) -> ReplyRequested:
    """A stored reply, which was never sent."""
    values = {
        "points": (PHONE, MAIL),
        "personal": {"text": SECRET},
        "requested_at": site.at,
        "send_at": site.at + timedelta(days=9),
    }
    reply = make_reply("stored", **(values | changes))
    await site.notifier.take(reply)
    return reply
