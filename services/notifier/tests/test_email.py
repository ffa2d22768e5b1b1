"""Facts about mail delivery through the relay: STARTTLS, login, connections, delivery reports."""

import asyncio
import email
from email import policy
from typing import Any

import pytest
from aiosmtplib import SMTP
from services.notifier.tests.parts import MakeReply, Notifier

from parvis.common.contract.contact import ContactPoint
from parvis.common.contract.mail_tokens import make_message_id, reply_id_of_bounce_address
from parvis.common.testing import A_KEY, AN_INSTANT
from parvis.notifier.models.delivery import SendOutcome
from parvis.notifier.models.message import RenderedMessage
from parvis.notifier.send.email import outcome_of
from parvis.simulators.mail.relay import MailFaults

pytestmark = pytest.mark.stack


def mailbox(name: str) -> tuple[ContactPoint, ...]:
    return (ContactPoint(kind="email", value=f"{name}@citizens.example"),)


async def test_an_answer_by_mail_is_submitted_over_tls_with_a_report_asked_for(
    notifier: Notifier, make_reply: MakeReply
) -> None:
    reply = make_reply(channel="email", points=mailbox("celeste"))
    async with notifier.running():
        await notifier.take(reply)
        await notifier.until(lambda states: states == ["accepted"])
    (mail,) = notifier.outside.mail.box.mails
    assert mail.tls
    assert [to.address for to in mail.recipients] == ["celeste@citizens.example"]
    assert mail.recipients[0].notify == {"SUCCESS", "FAILURE", "DELAY"}
    assert mail.envelope_id == reply.reply_id
    assert reply_id_of_bounce_address(mail.mail_from, A_KEY) == reply.reply_id
    message = email.message_from_bytes(mail.content, policy=policy.default)
    assert message["Message-ID"] == make_message_id(
        reply.reply_id, reply.conversation_id, "example-town.example", A_KEY
    )


@pytest.mark.parametrize(
    ("name", "state", "failure_class"),
    [("inconnu", "failed", "permanent"), ("plein", "failed", "unreachable")],
)
async def test_each_answer_of_the_relay_has_its_state(
    notifier: Notifier, make_reply: MakeReply, name: str, state: str, failure_class: str
) -> None:
    async with notifier.running():
        await notifier.take(make_reply(channel="email", points=mailbox(name)))
        await notifier.until(lambda states: states[:1] == [state])
    row = (await notifier.rows())[0]
    assert row.failure_class == failure_class
    assert "@" not in row.detail


@pytest.mark.parametrize("fault", [{"rcpt": "451 4.3.0 later", "times": 1}, {"data": "452 4.3.1 full", "times": 1}])
async def test_a_temporary_refusal_of_the_relay_is_retried(
    notifier: Notifier, make_reply: MakeReply, fault: dict[str, Any]
) -> None:
    notifier.outside.mail.relay.faults = MailFaults.model_validate(fault)
    async with notifier.running():
        await notifier.take(make_reply(channel="email", points=mailbox("celeste")))
        await notifier.until(lambda states: states == ["accepted"])
    assert [update.state for update in notifier.published] == ["reserved", "planned", "reserved", "accepted"]
    assert len(notifier.outside.mail.box.mails) == 1


async def test_the_second_sending_of_a_notice_has_the_same_message_id(
    impatient: Notifier, make_reply: MakeReply
) -> None:
    notifier = impatient
    notice = make_reply(kind="registration", channel="email", points=mailbox("muet"))
    async with notifier.running():
        await notifier.take(notice)
        await notifier.until(lambda states: states == ["unknown"])
        async with notifier.database.transaction() as connection:
            await connection.exec_driver_sql("update notifier.delivery set changed_at = now() - interval '16 minutes'")
        await notifier.reconciliation().reconcile()
        async with asyncio.timeout(10):
            while len(notifier.outside.mail.box.mails) < 2:
                await asyncio.sleep(0.02)
        await notifier.until(lambda states: states == ["unknown"])
    first, second = (email.message_from_bytes(mail.content) for mail in notifier.outside.mail.box.mails)
    assert first["Message-ID"] == second["Message-ID"]
    await notifier.reconciliation().reconcile()
    assert await notifier.states() == ["unknown"]


async def test_a_wrong_login_is_ours_to_mend_and_loses_nothing(
    notifier: Notifier, make_reply: MakeReply, wrong_login: Any
) -> None:
    notifier.senders["email"] = wrong_login
    async with notifier.running():
        await notifier.take(make_reply(channel="email", points=mailbox("celeste")))
        async with asyncio.timeout(10):
            while not (row := (await notifier.rows())[0]).failure_class:
                await asyncio.sleep(0.02)
    assert (row.state, row.failure_class, row.attempt) == ("planned", "temporary", 1)


async def test_a_relay_without_our_certificate_gets_neither_login_nor_mail(
    notifier: Notifier, make_reply: MakeReply, untrusting: Any
) -> None:
    reply = make_reply(channel="email", points=mailbox("celeste"))
    delivery = notifier.chooser.build_delivery(reply, notifier.chooser.choose(reply, {}))
    outcome = await untrusting.send(RenderedMessage(delivery, b"Subject: x\r\n\r\nx\r\n", "message/rfc822"))
    assert outcome.state == "retry"
    assert not notifier.outside.mail.box.mails


async def test_an_address_beyond_ascii_travels_by_smtputf8(notifier: Notifier, make_reply: MakeReply) -> None:
    async with notifier.running():
        await notifier.take(
            make_reply("1", channel="email", points=(ContactPoint(kind="email", value="zoé@citizens.example"),)),
            make_reply("2", channel="email", points=(ContactPoint(kind="email", value="zoe@café.example"),)),
        )
        await notifier.until(lambda states: states == ["accepted", "accepted"])
    assert {to.address for mail in notifier.outside.mail.box.mails for to in mail.recipients} == {
        "zoé@citizens.example",
        "zoe@xn--caf-dma.example",
    }


async def test_a_relay_without_smtputf8_is_not_handed_such_an_address(
    notifier: Notifier, make_reply: MakeReply, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offers(_: SMTP, name: str) -> bool:
        return name != "smtputf8"

    monkeypatch.setattr(SMTP, "supports_extension", offers)
    reply = make_reply(channel="email", points=(ContactPoint(kind="email", value="zoé@citizens.example"),))
    delivery = notifier.chooser.build_delivery(reply, notifier.chooser.choose(reply, {}))
    outcome = await notifier.senders["email"].send(notifier.renderer.render(reply, delivery, AN_INSTANT))
    assert (outcome.state, outcome.failure_class) == ("failed", "refused")
    assert "@" not in outcome.detail


def count_logins(notifier: Notifier, monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """One entry for each connection that was made."""
    logins: list[None] = []
    relay = notifier.outside.mail.relay
    authenticate = relay.authenticate

    def counted(*given: Any) -> Any:
        logins.append(None)
        return authenticate(*given)

    monkeypatch.setattr(relay, "authenticate", counted)
    return logins


async def send_one(notifier: Notifier, make_reply: MakeReply, key: str) -> SendOutcome:
    reply = make_reply(key, channel="email", points=mailbox("celeste"))
    delivery = notifier.chooser.build_delivery(reply, notifier.chooser.choose(reply, {}))
    return await notifier.senders["email"].send(notifier.renderer.render(reply, delivery, AN_INSTANT))


async def test_a_connection_is_kept_for_the_next_mail(
    notifier: Notifier, make_reply: MakeReply, monkeypatch: pytest.MonkeyPatch
) -> None:
    logins = count_logins(notifier, monkeypatch)
    for number in range(5):
        assert (await send_one(notifier, make_reply, str(number))).state == "accepted"
    assert len(logins) == 1
    assert len({mail.id for mail in notifier.outside.mail.box.mails}) == 5
    assert all(mail.tls for mail in notifier.outside.mail.box.mails)


async def test_mails_that_leave_together_take_a_connection_each_and_leave_them_for_the_next(
    notifier: Notifier, make_reply: MakeReply, monkeypatch: pytest.MonkeyPatch
) -> None:
    logins = count_logins(notifier, monkeypatch)
    for first in (0, 4):
        sent = await asyncio.gather(*(send_one(notifier, make_reply, str(first + number)) for number in range(4)))
        assert {outcome.state for outcome in sent} == {"accepted"}
    assert len(logins) == 4


async def test_a_connection_that_was_refused_something_or_fell_silent_is_not_used_again(
    impatient: Notifier, make_reply: MakeReply, monkeypatch: pytest.MonkeyPatch
) -> None:
    notifier = impatient
    logins = count_logins(notifier, monkeypatch)
    states: list[str] = []
    for number, fault in enumerate(({}, {"rcpt": "550 5.1.1 no"}, {}, {"silent": True}, {})):
        notifier.outside.mail.relay.faults = MailFaults.model_validate(fault)
        states.append((await send_one(notifier, make_reply, str(number))).state)
    assert states == ["accepted", "failed", "accepted", "unknown", "accepted"]
    assert len(logins) == 3


async def test_a_relay_that_restarts_between_two_mails_costs_a_connection_and_no_mail(
    notifier: Notifier, make_reply: MakeReply, monkeypatch: pytest.MonkeyPatch
) -> None:
    logins = count_logins(notifier, monkeypatch)
    assert (await send_one(notifier, make_reply, "1")).state == "accepted"
    notifier.outside.mail.relay.faults = MailFaults.model_validate({"rcpt": "421 4.3.2 shutting down", "times": 1})
    assert (await send_one(notifier, make_reply, "2")).state == "accepted"
    assert len(logins) == 2


async def test_a_relay_that_is_down_loses_no_mail_and_keeps_each_citizens_order(
    notifier: Notifier, make_reply: MakeReply
) -> None:
    notifier.outside.mail.relay.faults = MailFaults.model_validate({"rcpt": "451 4.3.0 later", "times": 6})
    replies = [
        make_reply(f"{who}{number}", conversation=who, channel="email", points=mailbox(who), personal={"text": f"Réponse {number}."})
        for number in range(3)
        for who in ("celeste", "basile")
    ]  # fmt: skip
    stopping = asyncio.Event()
    async with notifier.running(), asyncio.TaskGroup() as group:
        group.create_task(hurry(notifier, stopping))
        await notifier.take(*replies)
        await notifier.until(lambda states: states == ["accepted"] * 6, within_s=30)
        stopping.set()
    for who in ("celeste", "basile"):
        contents = [
            mail.content for mail in notifier.outside.mail.box.mails if mail.recipients[0].address.startswith(who)
        ]
        assert [number for content in contents for number in range(3) if f"ponse {number}".encode() in content] == [
            0,
            1,
            2,
        ]


async def hurry(notifier: Notifier, stopping: asyncio.Event) -> None:
    """Let nobody wait for the next attempt as long as they would."""
    while not stopping.is_set():
        async with notifier.database.transaction() as connection:
            await connection.exec_driver_sql("update notifier.delivery set send_at = now() where state = 'planned'")
        notifier.due.set()
        await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("code", "words", "state", "failure_class"),
    [
        (550, "5.1.1 <x@y.example>: unknown", "failed", "permanent"),
        (554, "no", "failed", "refused"),
        (421, "4.3.2 closing", "retry", "temporary"),
        (535, "5.7.8 login", "retry", "temporary"),
        (552, "5.3.4 too large", "failed", "too-long"),
        (450, "", "retry", "temporary"),
    ],
)
def test_the_table_of_replies(code: int, words: str, state: str, failure_class: str) -> None:
    outcome = outcome_of(code, words)
    assert (outcome.state, outcome.failure_class) == (state, failure_class)
    assert "@" not in outcome.detail
