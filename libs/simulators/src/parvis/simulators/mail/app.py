"""Wires the simulated mail provider: mailboxes, SMTP client, relay and web pages."""

import ssl
from dataclasses import dataclass

from fastapi import FastAPI

from parvis.simulators.background_tasks import BackgroundTasks
from parvis.simulators.mail.certificate import tls_context
from parvis.simulators.mail.control import MailControl
from parvis.simulators.mail.mailbox_page import MailboxPages
from parvis.simulators.mail.mailboxes import Mailboxes
from parvis.simulators.mail.relay import SimulatedMailRelay
from parvis.simulators.mail.smtp_client import CitizenSmtpClient
from parvis.simulators.printed_letters import letter_routes
from parvis.simulators.settings import Settings
from parvis.simulators.uvicorn_server import probes


@dataclass(frozen=True, slots=True)
class MailProvider:
    app: FastAPI
    box: Mailboxes
    postman: CitizenSmtpClient
    relay: SimulatedMailRelay
    context: ssl.SSLContext


def build(settings: Settings, background: BackgroundTasks) -> MailProvider:
    box = Mailboxes(settings.mail_dir)
    postman = CitizenSmtpClient(settings, background)
    relay = SimulatedMailRelay(settings, box, postman, background)
    app = FastAPI(title="Mail and letters, simulated", docs_url=None, redoc_url=None, redirect_slashes=False)
    app.include_router(MailControl(box, relay, postman, town_mailbox=settings.town_mailbox).routes())
    app.include_router(MailboxPages(settings, box, postman).routes())
    app.include_router(probes())
    app.include_router(letter_routes(settings.letters_dir))
    return MailProvider(app, box, postman, relay, tls_context(settings.mail_certificate, settings.host))
