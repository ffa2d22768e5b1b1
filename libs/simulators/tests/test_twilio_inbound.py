"""How a citizen's SMS is announced to the town."""

import base64
import socket
from pathlib import Path

import httpx
import pytest
from twilio.request_validator import RequestValidator

from parvis.simulators.app import Simulators
from parvis.simulators.twilio.webhook_sender import ConnectionOverrides
from parvis.simulators.uvicorn_server import bind, port_of

from .conftest import ACCOUNT_SID, CITIZEN, PUBLIC_URL, TOKEN, TOWN_NUMBER, Town, settings_for

SMS = {"from": CITIZEN, "body": "Un nid-de-poule rue des Lilas & ailleurs + 1"}


async def test_an_sms_is_announced_with_twilios_form_and_signature(twilio_sim: httpx.AsyncClient, town: Town) -> None:
    result = (await twilio_sim.post("/_sim/inbound", json=SMS)).json()
    assert result["outcome"] == "accepted"
    (call,) = town.calls
    assert call.form["MessageSid"] == call.form["SmsSid"] == call.form["SmsMessageSid"] == result["sid"]
    assert (call.form["From"], call.form["To"], call.form["Body"]) == (CITIZEN, TOWN_NUMBER, SMS["body"])
    assert (call.form["NumMedia"], call.form["NumSegments"], call.form["AccountSid"]) == ("0", "1", ACCOUNT_SID)
    assert RequestValidator(TOKEN).validate(f"{PUBLIC_URL}/sms?a=b%20c", call.form, call.signature)
    assert call.headers["content-type"].startswith("application/x-www-form-urlencoded")


async def test_the_same_sms_can_be_announced_twice(twilio_sim: httpx.AsyncClient, town: Town) -> None:
    first = (await twilio_sim.post("/_sim/inbound", json=SMS | {"repeat": 2})).json()
    await twilio_sim.post("/_sim/inbound", json=SMS | {"sid": first["sid"]})
    assert [call.form["MessageSid"] for call in town.calls] == [first["sid"]] * 3
    listed = (await twilio_sim.get("/_sim/messages", params={"direction": "inbound"})).json()["messages"]
    assert [message["sid"] for message in listed] == [first["sid"]]


async def test_a_forged_announcement_does_not_validate(twilio_sim: httpx.AsyncClient, town: Town) -> None:
    await twilio_sim.post("/_sim/inbound", json=SMS | {"forge": True})
    (call,) = town.calls
    assert not RequestValidator(TOKEN).validate(f"{PUBLIC_URL}/sms?a=b%20c", call.form, call.signature)


async def test_an_error_of_the_town_is_not_tried_again_and_the_sms_is_dropped(
    twilio_sim: httpx.AsyncClient, town: Town
) -> None:
    town.answers = [503]
    result = (await twilio_sim.post("/_sim/inbound", json=SMS)).json()
    assert result["outcome"] == "dropped"
    assert [attempt["status"] for attempt in result["attempts"]] == [503]
    (shown,) = (await twilio_sim.get("/_sim/messages")).json()["messages"]
    assert (shown["outcome"], shown["status"]) == ("dropped", "received")


async def test_the_overrides_behind_the_url_are_obeyed(town: Town, tmp_path: Path) -> None:
    town.answers = [503, 503]
    settings = settings_for(town, tmp_path, sms_webhook_url=f"{PUBLIC_URL}/sms#rc=3&rp=all")
    async with (
        Simulators(settings) as outside,
        httpx.AsyncClient(base_url=outside.twilio_url, trust_env=False) as client,
    ):
        result = (await client.post("/_sim/inbound", json=SMS)).json()
    assert [attempt["status"] for attempt in result["attempts"]] == [503, 503, 200]
    assert RequestValidator(TOKEN).validate(f"{PUBLIC_URL}/sms", town.calls[0].form, town.calls[0].signature)


async def test_a_refused_connection_is_tried_once_more_and_then_the_fallback_is_asked(
    town: Town, tmp_path: Path
) -> None:
    closed = bind("127.0.0.1", 0, "nothing")
    url = f"http://127.0.0.1:{port_of(closed)}/sms"
    closed.close()
    settings = settings_for(town, tmp_path, sms_webhook_url=url, sms_fallback_url=f"{PUBLIC_URL}/fallback")
    async with (
        Simulators(settings) as outside,
        httpx.AsyncClient(base_url=outside.twilio_url, trust_env=False) as client,
    ):
        result = (await client.post("/_sim/inbound", json=SMS)).json()
    assert result["outcome"] == "fallback"
    assert [attempt["status"] for attempt in result["attempts"]] == [None, None, 200]
    (call,) = town.calls
    assert (call.path, call.form["ErrorCode"], call.form["ErrorUrl"]) == ("/fallback", "11205", url)
    assert RequestValidator(TOKEN).validate(f"{PUBLIC_URL}/fallback", call.form, call.signature)


async def test_a_town_that_does_not_answer_is_given_up(town: Town, tmp_path: Path) -> None:
    mute = bind("127.0.0.1", 0, "a town that accepts and says nothing")
    url = f"http://127.0.0.1:{port_of(mute)}/sms#rt=100"
    async with (
        Simulators(settings_for(town, tmp_path, sms_webhook_url=url)) as outside,
        httpx.AsyncClient(base_url=outside.twilio_url, trust_env=False) as client,
    ):
        result = (await client.post("/_sim/inbound", json=SMS)).json()
    mute.shutdown(socket.SHUT_RDWR)
    mute.close()
    assert result["outcome"] == "dropped"
    assert [attempt["error"] for attempt in result["attempts"]] == ["read time-out"]


async def test_a_picture_can_be_fetched_with_the_accounts_login(twilio_sim: httpx.AsyncClient, town: Town) -> None:
    picture = {"content_type": "image/jpeg", "base64": base64.b64encode(b"\xff\xd8pixels").decode()}
    result = (await twilio_sim.post("/_sim/inbound", json={"from": CITIZEN, "media": [picture]})).json()
    assert result["sid"].startswith("MM")
    (call,) = town.calls
    assert (call.form["NumMedia"], call.form["MediaContentType0"], call.form["Body"]) == ("1", "image/jpeg", "")
    assert (await twilio_sim.get(call.form["MediaUrl0"])).status_code == 401
    fetched = await twilio_sim.get(call.form["MediaUrl0"], auth=(ACCOUNT_SID, TOKEN))
    assert (fetched.content, fetched.headers["content-type"]) == (b"\xff\xd8pixels", "image/jpeg")


async def test_whatsapp_names_its_user(twilio_sim: httpx.AsyncClient, town: Town) -> None:
    message = {
        "from": f"whatsapp:{CITIZEN}",
        "to": f"whatsapp:{TOWN_NUMBER}",
        "body": "Bonjour",
        "profile_name": "Camille",
    }
    await twilio_sim.post("/_sim/inbound", json=message)
    (call,) = town.calls
    assert (call.form["WaId"], call.form["ProfileName"]) == (CITIZEN.removeprefix("+"), "Camille")


@pytest.mark.parametrize("fragment", ["", "#rc=9&rt=99999&ct=x&tt=²", "#%%%"])
def test_overrides_out_of_range_are_as_if_not_there(fragment: str) -> None:
    assert ConnectionOverrides.of(f"{PUBLIC_URL}/sms{fragment}") == ConnectionOverrides()
