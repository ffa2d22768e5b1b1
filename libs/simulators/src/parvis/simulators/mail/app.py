"""Wires the simulated mail provider: mailboxes, SMTP client, relay and web pages."""

import ssl
from dataclasses import dataclass

from fastapi import FastAPI

from parvis.simulators.background import Background
from parvis.simulators.mail.certificate import tls_context
from parvis.simulators.mail.control import Control
from parvis.simulators.mail.mailbox_page import Pages
from parvis.simulators.mail.mailboxes import Box
from parvis.simulators.mail.relay import Relay
from parvis.simulators.mail.smtp_client import Postman
from parvis.simulators.print_shop import tray
from parvis.simulators.serve import probes
from parvis.simulators.settings import Settings


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
