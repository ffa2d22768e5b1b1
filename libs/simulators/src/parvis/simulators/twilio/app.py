"""Wires the simulated Twilio: account, carrier, API, control and the page of the phones."""

from dataclasses import dataclass

from fastapi import FastAPI

from parvis.simulators.background import Background
from parvis.simulators.serve import probes
from parvis.simulators.settings import Settings
from parvis.simulators.twilio.carrier import Carrier
from parvis.simulators.twilio.control import control
from parvis.simulators.twilio.messages import Account
from parvis.simulators.twilio.messages_api import MessagesApi, Refused, answer_refusal
from parvis.simulators.twilio.phones_page import pages
from parvis.simulators.twilio.webhook_sender import Courier


@dataclass(frozen=True, slots=True)
class Twilio:
    app: FastAPI
    account: Account
    carrier: Carrier
    courier: Courier


def build(settings: Settings, background: Background) -> Twilio:
    account = Account(settings.twilio_account_sid, kept=settings.kept)
    courier = Courier(settings.twilio_auth_token.get_secret_value(), settings.town_proxies)
    carrier = Carrier(settings, courier, background)
    app = FastAPI(title="Twilio, simulated", docs_url=None, redoc_url=None)
    app.add_exception_handler(Refused, answer_refusal)
    app.include_router(MessagesApi(settings, account, carrier, background).routes())
    app.include_router(control(account, carrier, town_number=settings.town_number))
    app.include_router(pages(settings, account, carrier))
    app.include_router(probes())
    return Twilio(app, account, carrier, courier)
