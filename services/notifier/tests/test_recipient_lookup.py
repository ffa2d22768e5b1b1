"""Facts about notices without a recipient: they go where earlier replies of the conversation went, if there were any."""

import pytest

from parvis.common.contract.contact import ContactPoint, ConversationId
from parvis.common.contract.reply import ReplyRequested

from .parts import MakeReply, Notifier

pytestmark = pytest.mark.stack
OTHER = (ContactPoint(kind="email", value="noor@citizens.example"),)
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


@pytest.mark.parametrize("is_one_batch", [True, False])
async def test_a_notice_never_goes_to_another_person(
    notifier: Notifier, make_reply: MakeReply, *, is_one_batch: bool
) -> None:
    registration = make_reply(kind="registration", channel="email", points=MAIL)
    other = make_reply(
        kind="registration", channel="email", points=OTHER, to_other_person=True, reply_id="other-person-s"
    )
    notice = moved(make_reply, registration.conversation_id)
    for batch in [(registration, other, notice)] if is_one_batch else [(registration,), (other,), (notice,)]:
        await notifier.take(*batch)
    assert sorted((row.kind, row.address) for row in await notifier.rows()) == [
        ("registration", MAIL[0].value),
        ("registration", OTHER[0].value),
        ("transfer", MAIL[0].value),
    ]


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


async def test_a_few_people_who_join_get_a_registration_each_and_nobody_two(
    notifier: Notifier, make_reply: MakeReply
) -> None:
    phones = [(ContactPoint(kind="phone", value=f"+3363998001{n}"),) for n in (0, 1, 1, 2, 3, 4, 5, 6)]
    first, *joined = (
        make_reply(str(n), kind="registration", points=points, conversation="c") for n, points in enumerate(phones)
    )
    async with notifier.running():
        await notifier.take(first)
        await notifier.until(lambda states: states == ["accepted"])
        await notifier.take(*joined)
        await notifier.until(lambda states: sorted(states) == ["accepted"] * 5 + ["failed"] * 3)
