"""The citizens' mails to the town."""

import base64
import email
import email.policy

import httpx
import pytest

from .conftest import Town, until

MAIL = {"from": "Camille <camille@citizens.example>", "subject": "Éclairage", "text": "La rue est noire."}


async def test_a_citizens_mail_reaches_the_town(mail_sim: httpx.AsyncClient, town: Town) -> None:
    files = [{"filename": "plan.pdf", "content_type": "application/pdf", "base64": base64.b64encode(b"%PDF-").decode()}]
    given = {
        "message_id": "<1@citizens.example>",
        "headers": {"X-Test": "yes"},
        "html": "<p>Noire</p>",
        "attachments": files,
    }
    sent = (await mail_sim.post("/_sim/send", json=MAIL | given)).json()
    assert (sent["state"], sent["reply"], sent["message_id"]) == (
        "accepted",
        "250 2.0.0 stored",
        "<1@citizens.example>",
    )
    (mail,) = town.mails
    assert (mail.mail_from, mail.rcpt_tos) == ("camille@citizens.example", ["mairie@example-town.example"])
    message = email.message_from_bytes(mail.content, policy=email.policy.default)
    assert (message["Subject"], message["X-Test"], message["Message-ID"]) == (
        "Éclairage",
        "yes",
        "<1@citizens.example>",
    )
    types = [part.get_content_type() for part in message.walk()]
    assert types == ["multipart/mixed", "multipart/alternative", "text/plain", "text/html", "application/pdf"]


async def test_a_mail_can_be_sent_as_it_is(mail_sim: httpx.AsyncClient, town: Town) -> None:
    raw = b"From: camille@citizens.example\r\nSubject: \xff\xfe broken\r\nX-Broken\r\n\r\nbody\r\n"
    headers = {"Content-Type": "message/rfc822"}
    for query in ({}, {"sender": "", "to": "voirie@example-town.example"}):
        answer = await mail_sim.post("/_sim/send", content=raw, headers=headers, params=query)
        assert answer.json()["state"] == "accepted"
    assert [mail.content for mail in town.mails] == [raw, raw]
    assert [mail.mail_from for mail in town.mails] == ["camille@citizens.example", ""]
    assert town.mails[1].rcpt_tos == ["voirie@example-town.example"]


async def test_a_town_that_says_later_is_asked_again(mail_sim: httpx.AsyncClient, town: Town) -> None:
    town.replies = ["451 4.3.0 Kafka is down"]
    assert (await mail_sim.post("/_sim/send", json=MAIL)).json()["state"] == "waiting"
    await until(lambda: town.mails)
    (sent,) = (await mail_sim.get("/_sim/sent")).json()["sent"]
    assert sent["replies"] == ["451 4.3.0 Kafka is down", "250 2.0.0 stored"]


async def test_a_town_that_says_no_is_not_asked_again(mail_sim: httpx.AsyncClient, town: Town) -> None:
    town.replies = ["554 5.7.1 no"]
    assert (await mail_sim.post("/_sim/send", json=MAIL)).json()["state"] == "refused"


@pytest.mark.parametrize(
    "wrong",
    [{"from": "a@b.example", "subject": "two\nlines"}, {"subject": "nobody"}, {"from": "a@b.example", "unknown": 1}],
)
async def test_a_mail_that_cannot_be_written_is_refused(mail_sim: httpx.AsyncClient, wrong: dict[str, object]) -> None:
    assert (await mail_sim.post("/_sim/send", json=wrong)).status_code == 422


async def test_an_address_that_smtp_cannot_carry_is_refused(mail_sim: httpx.AsyncClient, town: Town) -> None:
    sent = (await mail_sim.post("/_sim/send", json=MAIL | {"envelope_from": "a b@c.example"})).json()
    assert sent["state"] == "refused"
    assert not town.mails
