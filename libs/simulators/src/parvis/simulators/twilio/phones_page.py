"""Serves the citizens' phones as SMS conversations, with a form to write from one of them."""

from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from parvis.simulators.page_rendering import render_page
from parvis.simulators.settings import Settings
from parvis.simulators.twilio.carrier import Carrier
from parvis.simulators.twilio.control import InboundSms, receive
from parvis.simulators.twilio.magic_numbers import BLOCK, MAGIC
from parvis.simulators.twilio.messages import Account

SHOWN = 60  # phones on the page; a load test has thousands


def pages(settings: Settings, account: Account, carrier: Carrier) -> APIRouter:
    """Build the routes of the pages."""
    router = APIRouter()

    @router.get("/", response_class=HTMLResponse)
    async def phones(request: Request) -> HTMLResponse:
        conversations = list(account.conversations().items())[:SHOWN]
        return render_page(request, "phones.html", {"conversations": conversations}, refresh=True)

    @router.get("/numbers", response_class=HTMLResponse)
    async def numbers(request: Request) -> HTMLResponse:
        return render_page(request, "numbers.html", {"block": BLOCK, "behaviours": MAGIC})

    @router.get("/write", response_class=HTMLResponse)
    async def write(request: Request) -> HTMLResponse:
        numbers = dict.fromkeys([settings.town_number, *settings.sms_webhook_urls])
        citizen = request.query_params.get("from", "+33639980101")
        return render_page(request, "write_sms.html", {"citizen": citizen, "numbers": list(numbers)})

    @router.post("/write")
    async def send(request: Request) -> Response:
        form = await request.form()
        inbound = InboundSms(
            sender=str(form.get("from", "")).replace(" ", ""),
            to=str(form.get("to", "")),
            body=str(form.get("body", "")),
        )
        await receive(inbound, account, carrier, town_number=settings.town_number, base_url=str(request.base_url))
        language = urlencode({"lang": request.query_params.get("lang", "fr")})
        return RedirectResponse(f"/?{language}", status_code=303)

    return router
