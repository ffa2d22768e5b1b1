"""Facts about deliveries without a final answer: lapsed leases, and unknown outcomes."""

from dataclasses import replace
from datetime import timedelta

import pytest
from services.notifier.tests.parts import MakeReply, Notifier

from parvis.notifier.models.limits import SendingLimits

pytestmark = pytest.mark.stack


async def test_a_lapsed_lease_is_unknown_for_an_sms(notifier: Notifier, make_reply: MakeReply) -> None:
    notifier.parts.limits = replace(notifier.parts.limits, lease=timedelta(0))
    await notifier.take(make_reply())
    await reserve_and_die(notifier)
    await notifier.reconciliation().reconcile()
    assert await notifier.states() == ["unknown"]


async def reserve_and_die(notifier: Notifier) -> None:
    """As after kill -9 between the reservation and the provider's answer."""
    reserved = await notifier.send_loop().reserve(10)
    assert len(reserved) == 1


@pytest.mark.parametrize(("kind", "calls"), [("registration", 1), ("answer", 0)])
async def test_an_unknown_notice_is_sent_a_last_time_and_an_answer_is_not(
    notifier: Notifier, make_reply: MakeReply, kind: str, calls: int
) -> None:
    notifier.parts.limits = replace(notifier.parts.limits, lease=timedelta(0), unknown_after=timedelta(0))
    await notifier.break_twilio(lists="error")  # nobody can be asked
    await notifier.take(make_reply(kind=kind))
    await reserve_and_die(notifier)
    for _ in range(3):
        await notifier.reconciliation().reconcile()
    notifier.parts.limits = SendingLimits()
    async with notifier.running():
        await notifier.until(lambda states: states == (["accepted"] if calls else ["unknown"]))
    (row,) = await notifier.rows()
    assert (len(notifier.at_twilio), row.attempt) == (calls, 1 + calls)
    assert (row.resent_at is not None) == bool(calls)


async def test_a_notice_is_never_sent_a_third_time(notifier: Notifier, make_reply: MakeReply) -> None:
    notifier.parts.limits = replace(notifier.parts.limits, lease=timedelta(0), unknown_after=timedelta(0))
    await notifier.break_twilio(lists="error")
    await notifier.take(make_reply(kind="receipt"))
    for _ in range(2):
        await reserve_and_die(notifier)
        await notifier.reconciliation().reconcile()
        await notifier.reconciliation().reconcile()
    assert await notifier.states() == ["unknown"]


async def test_an_unknown_message_is_found_in_the_providers_list(impatient: Notifier, make_reply: MakeReply) -> None:
    notifier = impatient
    await notifier.break_twilio(behaviour="hang", times=1)
    reply = make_reply()
    async with notifier.running():
        await notifier.take(reply)
        await notifier.until(lambda states: states == ["unknown"])
        await notifier.reconciliation().reconcile()
    (row,) = await notifier.rows()
    (message,) = notifier.at_twilio
    assert row.state in {"accepted", "delivered"}
    assert (row.provider_id, row.sends) == (message.sid, 1)


async def test_a_message_that_no_provider_has_is_sent_again_once(notifier: Notifier, make_reply: MakeReply) -> None:
    notifier.parts.limits = replace(
        notifier.parts.limits, lease=timedelta(0), unknown_after=timedelta(0), poll_every=timedelta(0)
    )
    await notifier.take(make_reply())
    for expected in (["planned"], ["failed", "failed"]):
        await reserve_and_die(notifier)
        await notifier.reconciliation().reconcile()
        assert await notifier.states() == expected
    row = (await notifier.rows())[0]
    assert (row.sends, row.moves_to, row.failure_class) == (0, "phone", "temporary")


async def test_two_equal_texts_to_one_number_are_two_messages(impatient: Notifier, make_reply: MakeReply) -> None:
    """Each finds its own in the list, whatever it says."""
    notifier = impatient
    await notifier.break_twilio(behaviour="hang", times=2)
    async with notifier.running():
        await notifier.take(make_reply("1", conversation="same"), make_reply("2", conversation="same"))
        await notifier.until(lambda states: states == ["unknown", "unknown"])
        await notifier.reconciliation().reconcile()
    provider_ids = {row.provider_id for row in await notifier.rows()}
    assert provider_ids == {message.sid for message in notifier.at_twilio}
