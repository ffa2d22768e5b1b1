"""Notices that name nobody: they go to whom the conversation's earlier replies went, and to nobody where none did."""

import pytest

from parvis.common.contract.contact import ContactPoint, ConversationId
from parvis.common.contract.reply import ReplyRequested

from .parts import AskFor, Notifier

pytestmark = pytest.mark.stack
MAIL = (ContactPoint(kind="email", value="camille@citizens.example"),)


def moved(ask_for: AskFor, addressed_as: str) -> ReplyRequested:
    return ask_for(kind="transfer", points=(), template="transfer", addressed_as=ConversationId(addressed_as))


async def test_a_transfer_is_told_where_the_registration_went(notifier: Notifier, ask_for: AskFor) -> None:
    stated = [{"channel": "sms", "address": "+33639980011"}]
    registration = ask_for(kind="registration", channel="email", points=MAIL, personal={"stated": stated})
    await notifier.take(registration)
    await notifier.take(moved(ask_for, registration.conversation_id))
    assert [(row.kind, row.channel, row.address) for row in await notifier.rows()] == [
        ("registration", "sms", "+33639980011"),
        ("transfer", "sms", "+33639980011"),
    ]


async def test_it_may_come_in_the_same_batch_and_more_than_once(notifier: Notifier, ask_for: AskFor) -> None:
    registration = ask_for(kind="registration", channel="email", points=MAIL)
    told = moved(ask_for, registration.conversation_id)
    await notifier.take(registration, told, told)
    await notifier.take(told)
    assert [row.kind for row in await notifier.rows()] == ["registration", "transfer"]


async def test_a_conversation_in_which_nobody_was_written_to_stays_silent(notifier: Notifier, ask_for: AskFor) -> None:
    await notifier.take(ask_for(kind="registration", points=MAIL), moved(ask_for, "a-machine-s"))
    assert [row.kind for row in await notifier.rows()] == ["registration"]


async def test_a_receipt_is_not_sent_after_the_notice_of_a_transfer(notifier: Notifier, ask_for: AskFor) -> None:
    """The receipt comes from the body that is competent (CRPA L112-11): the notice says all that it would."""
    registration, receipt = ask_for(kind="registration"), ask_for(kind="receipt")
    async with notifier.running():
        await notifier.take(registration, moved(ask_for, receipt.conversation_id))
        await notifier.until(lambda states: states == ["accepted", "accepted"])
        await notifier.take(receipt)
        await notifier.until(lambda states: states == ["accepted", "accepted", "cancelled"])
