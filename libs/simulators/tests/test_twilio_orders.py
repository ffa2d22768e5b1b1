"""What Twilio does by itself with STOP, with our TwiML, and with webhooks and files that fail."""

import base64
from xml.sax.saxutils import escape

import httpx
import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from .conftest import ACCOUNT_SID, CITIZEN, TOKEN, TOWN_NUMBER, Town

SMS = {"from": CITIZEN, "body": "Bonjour"}


@pytest.mark.parametrize("how", [{"faults": {"webhooks": {"drop": True}}}, {"from": "+33639989940"}])
async def test_a_dropped_webhook_leaves_the_message_in_the_lists_alone(
    twilio_sim: httpx.AsyncClient, town: Town, twilio: Client, how: dict[str, object]
) -> None:
    await twilio_sim.post("/_sim/faults", json=how.pop("faults", {}))
    result = (await twilio_sim.post("/_sim/inbound", json=SMS | how)).json()
    assert (result["outcome"], result["attempts"], town.calls) == ("dropped", [], [])
    (listed,) = await twilio.messages.list_async(to=TOWN_NUMBER)
    assert (listed.sid, listed.direction) == (result["sid"], "inbound")


async def test_after_stop_nothing_leaves_until_start(twilio_sim: httpx.AsyncClient, town: Town, twilio: Client) -> None:
    await twilio_sim.post("/_sim/inbound", json=SMS | {"body": "STOP", "opt_out_type": "STOP"})
    assert town.calls[-1].form["OptOutType"] == "STOP"
    with pytest.raises(TwilioRestException) as refused:
        await twilio.messages.create_async(to=CITIZEN, from_=TOWN_NUMBER, body="Bonjour")
    assert refused.value.code == 21610
    await twilio_sim.post("/_sim/inbound", json=SMS | {"body": "START", "opt_out_type": "START"})
    await twilio.messages.create_async(to=CITIZEN, from_=TOWN_NUMBER, body="Bonjour")


async def test_the_towns_twiml_is_sent_to_who_wrote(twilio_sim: httpx.AsyncClient, town: Town) -> None:
    said = "Mairie & accueil"
    town.bodies = [f"<Response><Message>{escape(said)}</Message></Response>"]
    await twilio_sim.post("/_sim/inbound", json=SMS)
    sent = (await twilio_sim.get("/_sim/messages", params={"direction": "outbound-reply"})).json()["messages"]
    assert [(message["to"], message["from"], message["body"]) for message in sent] == [(CITIZEN, TOWN_NUMBER, said)]


@pytest.mark.parametrize(("fault", "status"), [("error", 500), ("lost", 404)])
async def test_a_file_can_fail(twilio_sim: httpx.AsyncClient, town: Town, fault: str, status: int) -> None:
    picture = {"content_type": "image/png", "base64": base64.b64encode(b"a picture").decode()}
    await twilio_sim.post("/_sim/inbound", json=SMS | {"media": [picture]})
    url = town.calls[-1].form["MediaUrl0"]
    await twilio_sim.post("/_sim/faults", json={"media": fault})
    assert (await twilio_sim.get(url, auth=(ACCOUNT_SID, TOKEN))).status_code == status
    await twilio_sim.post("/_sim/faults", json={})
    assert (await twilio_sim.get(url, auth=(ACCOUNT_SID, TOKEN))).content == b"a picture"
