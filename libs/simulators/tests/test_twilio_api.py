"""What the official Twilio client sees of the simulator."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from parvis.simulators.app import Simulators
from parvis.simulators.twilio.magic_numbers import BLOCK

from .conftest import ACCOUNT_SID, CITIZEN, PUBLIC_URL, TOKEN, TOWN_NUMBER, Redirected, Town, until

CALLBACK = f"{PUBLIC_URL}/callbacks?n=42"


async def test_a_message_is_queued_then_delivered_and_the_town_is_called_back(twilio: Client, town: Town) -> None:
    message = await twilio.messages.create_async(
        to=CITIZEN, from_=TOWN_NUMBER, body="Bonjour", status_callback=CALLBACK
    )
    assert message.sid is not None
    assert message.sid.startswith("SM")
    assert len(message.sid) == 34
    assert (message.status, message.direction, message.num_segments) == ("queued", "outbound-api", "1")
    assert isinstance(message.date_created, datetime)
    await until(lambda: len(town.calls) == 3)
    assert sorted(town.statuses()) == ["delivered", "queued", "sent"]
    fetched = await twilio.messages(message.sid).fetch_async()
    assert fetched.status == "delivered"
    assert fetched.body == "Bonjour"


async def test_every_callback_is_signed_over_the_public_url(twilio: Client, town: Town) -> None:
    await twilio.messages.create_async(to=CITIZEN, from_=TOWN_NUMBER, body="Bonjour", status_callback=CALLBACK)
    await until(lambda: len(town.calls) == 3)
    validator = RequestValidator(TOKEN)
    for call in town.calls:
        assert validator.validate(CALLBACK, call.form, call.signature)
        assert not validator.validate(CALLBACK, call.form | {"MessageStatus": "read"}, call.signature)
        assert call.form["To"] == CITIZEN
        assert call.form["AccountSid"] == ACCOUNT_SID


@pytest.mark.parametrize(
    ("ending", "status", "code"), [("11", 400, 21211), ("10", 400, 21610), ("29", 429, 20429), ("50", 500, 20500)]
)
async def test_a_magic_number_is_refused_and_nothing_is_sent(
    twilio: Client, outside: Simulators, ending: str, status: int, code: int
) -> None:
    with pytest.raises(TwilioRestException) as refused:
        await twilio.messages.create_async(to=BLOCK + ending, from_=TOWN_NUMBER, body="Bonjour")
    assert (refused.value.status, refused.value.code) == (status, code)
    assert not outside.twilio.account.messages


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"From": TOWN_NUMBER, "Body": "x"}, 21604),
        ({"To": CITIZEN, "Body": "x"}, 21603),
        ({"To": CITIZEN, "From": TOWN_NUMBER}, 21602),
        ({"To": CITIZEN, "From": TOWN_NUMBER, "Body": "x" * 1601}, 21617),
        ({"To": "06 39 98 01 01", "From": TOWN_NUMBER, "Body": "x"}, 21211),
        ({"To": CITIZEN, "From": "nobody at all", "Body": "x"}, 21212),
        ({"To": CITIZEN, "From": TOWN_NUMBER, "Body": "x", "StatusCallback": "callbacks"}, 21609),
    ],
)
async def test_an_incomplete_request_is_refused_with_twilios_code(
    twilio_sim: httpx.AsyncClient, fields: dict[str, str], code: int
) -> None:
    path = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"
    answer = await twilio_sim.post(path, data=fields, auth=(ACCOUNT_SID, TOKEN))
    assert answer.status_code == 400
    assert answer.json()["code"] == code
    assert answer.json().keys() == {"code", "message", "more_info", "status"}


async def test_a_wrong_token_opens_nothing(http: Redirected) -> None:
    with pytest.raises(TwilioRestException) as refused:
        await Client(ACCOUNT_SID, "wrong", http_client=http).messages.create_async(
            to=CITIZEN, from_=TOWN_NUMBER, body="x"
        )
    assert (refused.value.status, refused.value.code) == (401, 20003)


async def test_a_message_is_sent_although_the_answer_never_comes(
    twilio: Client, town: Town, outside: Simulators
) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await twilio.messages.create_async(
                to=BLOCK + "60", from_=TOWN_NUMBER, body="Bonjour", status_callback=CALLBACK
            )
    await until(lambda: "delivered" in town.statuses())
    assert len(outside.twilio.account.messages) == 1


async def test_a_message_is_sent_although_the_answer_is_an_error(twilio: Client, town: Town) -> None:
    with pytest.raises(TwilioRestException) as refused:
        await twilio.messages.create_async(to=BLOCK + "51", from_=TOWN_NUMBER, body="Bonjour", status_callback=CALLBACK)
    assert refused.value.status == 500
    await until(lambda: "delivered" in town.statuses())


@pytest.mark.parametrize(
    ("ending", "last", "error"),
    [("03", "undelivered", "30003"), ("05", "undelivered", "30005"), ("08", "failed", "30008")],
)
async def test_a_message_that_does_not_arrive_says_why(
    twilio: Client, town: Town, ending: str, last: str, error: str
) -> None:
    await twilio.messages.create_async(to=BLOCK + ending, from_=TOWN_NUMBER, body="Bonjour", status_callback=CALLBACK)
    await until(lambda: last in town.statuses())
    assert next(call.form["ErrorCode"] for call in town.calls if call.form["MessageStatus"] == last) == error


async def test_messages_are_listed_by_recipient_and_date_in_pages(
    twilio: Client, twilio_sim: httpx.AsyncClient
) -> None:
    for number in range(5):
        await twilio.messages.create_async(to=CITIZEN, from_=TOWN_NUMBER, body=f"Message {number}")
    await twilio.messages.create_async(to="+33639980102", from_=TOWN_NUMBER, body="Another")
    await twilio_sim.post("/_sim/inbound", json={"from": CITIZEN, "body": "Mine", "announce": False})
    since = datetime.now(UTC) - timedelta(minutes=1)
    found = await twilio.messages.list_async(to=CITIZEN, date_sent_after=since, page_size=2)
    assert [message.body for message in found] == [f"Message {number}" for number in (4, 3, 2, 1, 0)]
    assert [message.body for message in await twilio.messages.list_async(from_=CITIZEN)] == ["Mine"]
    assert await twilio.messages.list_async(to=CITIZEN, date_sent_after=since + timedelta(hours=1)) == []


async def test_a_page_is_not_shifted_by_a_message_that_arrives_meanwhile(twilio: Client) -> None:
    for number in range(4):
        await twilio.messages.create_async(to=CITIZEN, from_=TOWN_NUMBER, body=str(number))
    first = await twilio.messages.page_async(page_size=2)
    await twilio.messages.create_async(to=CITIZEN, from_=TOWN_NUMBER, body="new")
    second = await first.next_page_async()
    assert second is not None
    assert [message.body for message in second] == ["1", "0"]


async def test_a_fault_is_spent_after_its_times(twilio: Client, twilio_sim: httpx.AsyncClient) -> None:
    await twilio_sim.post("/_sim/faults", json={"behaviour": "too-many", "times": 2})
    for _ in range(2):
        with pytest.raises(TwilioRestException):
            await twilio.messages.create_async(to=CITIZEN, from_=TOWN_NUMBER, body="x")
    assert (await twilio.messages.create_async(to=CITIZEN, from_=TOWN_NUMBER, body="x")).status == "queued"


async def test_an_unknown_fault_is_refused(twilio_sim: httpx.AsyncClient) -> None:
    assert (await twilio_sim.post("/_sim/faults", json={"behaviour": "explode"})).status_code == 422
    assert (await twilio_sim.post("/_sim/faults", json={"behavior": "hang"})).status_code == 422


async def test_callbacks_can_come_repeated_reversed_and_before_the_answer(
    twilio: Client, twilio_sim: httpx.AsyncClient, town: Town
) -> None:
    await twilio_sim.post("/_sim/faults", json={"callbacks": {"repeat": 3, "reverse": True, "before_answer": True}})
    await twilio.messages.create_async(to=CITIZEN, from_=TOWN_NUMBER, body="x", status_callback=CALLBACK)
    assert town.statuses() == ["delivered"] * 3 + ["sent"] * 3 + ["queued"] * 3


async def test_a_forged_callback_does_not_validate(twilio: Client, twilio_sim: httpx.AsyncClient, town: Town) -> None:
    await twilio_sim.post("/_sim/faults", json={"callbacks": {"forge": True}})
    await twilio.messages.create_async(to=CITIZEN, from_=TOWN_NUMBER, body="x", status_callback=CALLBACK)
    await until(lambda: len(town.calls) == 3)
    assert not RequestValidator(TOKEN).validate(CALLBACK, town.calls[0].form, town.calls[0].signature)


async def test_a_message_can_be_redacted_and_deleted(twilio: Client) -> None:
    message = await twilio.messages.create_async(to=CITIZEN, from_=TOWN_NUMBER, body="private")
    assert (await twilio.messages(message.sid or "").update_async(body="")).body == ""
    assert await twilio.messages(message.sid or "").delete_async()
    with pytest.raises(TwilioRestException) as refused:
        await twilio.messages(message.sid or "").fetch_async()
    assert (refused.value.status, refused.value.code) == (404, 20404)
