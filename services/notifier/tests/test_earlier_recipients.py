"""Facts about notices without a recipient: they go where earlier replies of the conversation went, if there were any."""

import pytest

from parvis.common.contract.contact import ContactPoint, ConversationId
from parvis.common.contract.reply import ReplyRequested

from .parts import MakeReply, Notifier

pytestmark = pytest.mark.stack
MAIL = (ContactPoint(kind="email", value="camille@citizens.example"),)


def moved(make_reply: MakeReply, addressed_as: str) -> ReplyRequested:
    return make_reply(kind="transfer", points=(), template="transfer", addressed_as=ConversationId(addressed_as))


async def test_a_transfer_notice_goes_where_the_registration_went(notifier: Notifier, make_reply: MakeReply) -> None:
    stated = [{"channel": "sms", "address": "+33639980011"}]
    registration = make_reply(kind="registration", channel="email", points=MAIL, personal={"stated": stated})
    await notifier.take(registration)
    await notifier.take(moved(make_reply, registration.conversation_id))
    assert [(row.kind, row.channel, row.address) for row in await notifier.rows()] == [
        ("registration", "sms", "+33639980011"),
        ("transfer", "sms", "+33639980011"),
    ]


async def test_a_notice_may_come_in_the_same_batch_and_repeatedly(notifier: Notifier, make_reply: MakeReply) -> None:
    registration = make_reply(kind="registration", channel="email", points=MAIL)
    notice = moved(make_reply, registration.conversation_id)
    await notifier.take(registration, notice, notice)
    await notifier.take(notice)
    assert [row.kind for row in await notifier.rows()] == ["registration", "transfer"]


async def test_a_notice_without_any_earlier_recipient_is_not_sent(notifier: Notifier, make_reply: MakeReply) -> None:
    await notifier.take(make_reply(kind="registration", points=MAIL), moved(make_reply, "a-machine-s"))
    assert [row.kind for row in await notifier.rows()] == ["registration"]


async def test_a_receipt_is_not_sent_after_the_notice_of_a_transfer(notifier: Notifier, make_reply: MakeReply) -> None:
    """The receipt comes from the body that is competent (CRPA L112-11): the notice says all that it would."""
    registration, receipt = make_reply(kind="registration"), make_reply(kind="receipt")
    async with notifier.running():
        await notifier.take(registration, moved(make_reply, receipt.conversation_id))
        await notifier.until(lambda states: states == ["accepted", "accepted"])
        await notifier.take(receipt)
        await notifier.until(lambda states: states == ["accepted", "accepted", "cancelled"])
