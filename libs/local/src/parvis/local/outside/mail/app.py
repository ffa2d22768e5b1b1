"""Wires the simulated mail provider: box, postman, relay, and the web application with mail and letters."""

import ssl
from dataclasses import dataclass

from fastapi import FastAPI

from parvis.local.outside.background import Background
from parvis.local.outside.mail.box import Box
from parvis.local.outside.mail.certificate import tls_context
from parvis.local.outside.mail.control import Control
from parvis.local.outside.mail.page import Pages
from parvis.local.outside.mail.postman import Postman
from parvis.local.outside.mail.relay import Relay
from parvis.local.outside.serve import probes
from parvis.local.outside.settings import Settings
from parvis.local.outside.tray import tray


@dataclass(frozen=True, slots=True)
class MailProvider:
    app: FastAPI
    box: Box
    postman: Postman
    relay: Relay
    context: ssl.SSLContext


def build(settings: Settings, background: Background) -> MailProvider:
    box = Box(settings.mail_dir)
    postman = Postman(settings, background)
    relay = Relay(settings, box, postman, background)
    app = FastAPI(title="Mail and letters, simulated", docs_url=None, redoc_url=None)
    app.include_router(Control(box, relay, postman, town_mailbox=settings.town_mailbox).routes())
    app.include_router(Pages(settings, box, postman).routes())
    app.include_router(probes())
    app.include_router(tray(settings.letters_dir))
    return MailProvider(app, box, postman, relay, tls_context(settings.mail_certificate, settings.host))
