"""Wires the simulated Twilio: account, carrier, API, control and the page with the phones."""

from dataclasses import dataclass

from fastapi import FastAPI

from parvis.local.outside.background import Background
from parvis.local.outside.serve import probes
from parvis.local.outside.settings import Settings
from parvis.local.outside.twilio.api import MessagesApi, Refused, answer_refusal
from parvis.local.outside.twilio.carrier import Carrier
from parvis.local.outside.twilio.control import control
from parvis.local.outside.twilio.courier import Courier
from parvis.local.outside.twilio.messages import Account
from parvis.local.outside.twilio.page import pages


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
