"""Wires the simulated Twilio: account, carrier, API, control and the phones page."""

from dataclasses import dataclass

from fastapi import FastAPI

from parvis.simulators.background_tasks import BackgroundTasks
from parvis.simulators.settings import Settings
from parvis.simulators.twilio.carrier import Carrier
from parvis.simulators.twilio.control import control_routes
from parvis.simulators.twilio.messages import Account
from parvis.simulators.twilio.messages_api import ApiRefusal, MessagesApi, answer_refusal
from parvis.simulators.twilio.phones_page import pages
from parvis.simulators.twilio.webhook_sender import WebhookSender
from parvis.simulators.uvicorn_server import probes


@dataclass(frozen=True, slots=True)
class SimulatedTwilio:
    app: FastAPI
    account: Account
    carrier: Carrier
    courier: WebhookSender


def build(settings: Settings, background: BackgroundTasks) -> SimulatedTwilio:
    account = Account(settings.twilio_account_sid, max_messages=settings.kept)
    courier = WebhookSender(settings.twilio_auth_token.get_secret_value(), settings.town_proxies)
    carrier = Carrier(settings, courier, background)
    app = FastAPI(title="Twilio, simulated", docs_url=None, redoc_url=None, redirect_slashes=False)
    app.add_exception_handler(ApiRefusal, answer_refusal)
    app.include_router(MessagesApi(settings, account, carrier, background).routes())
    app.include_router(control_routes(account, carrier, town_number=settings.town_number))
    app.include_router(pages(settings, account, carrier))
    app.include_router(probes())
    return SimulatedTwilio(app, account, carrier, courier)
