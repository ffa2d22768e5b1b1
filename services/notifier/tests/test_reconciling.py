"""What no answer ended: lapsed leases and old unknowns."""

from dataclasses import replace
from datetime import timedelta

import pytest
from services.notifier.tests.parts import AskFor, Notifier

from parvis.notifier.models.limits import SendingLimits

pytestmark = pytest.mark.stack


async def test_a_lapsed_lease_is_unknown_for_an_sms(notifier: Notifier, ask_for: AskFor) -> None:
    notifier.parts.limits = replace(notifier.parts.limits, lease=timedelta(0))
    await notifier.take(ask_for())
    await reserve_and_die(notifier)
    await notifier.reconciliation().reconcile()
    assert await notifier.states() == ["unknown"]


async def reserve_and_die(notifier: Notifier) -> None:
    """As after kill -9 between the reservation and the provider's answer."""
    reserved = await notifier.send_loop().reserve(10)
    assert len(reserved) == 1


@pytest.mark.parametrize(("kind", "calls"), [("registration", 1), ("answer", 0)])
async def test_what_stays_unknown_is_sent_a_last_time_only_if_it_is_a_notice(
    notifier: Notifier, ask_for: AskFor, kind: str, calls: int
) -> None:
    notifier.parts.limits = replace(notifier.parts.limits, lease=timedelta(0), unknown_after=timedelta(0))
    await notifier.break_twilio(lists="error")  # nobody can be asked
    await notifier.take(ask_for(kind=kind))
    await reserve_and_die(notifier)
    for _ in range(3):
        await notifier.reconciliation().reconcile()
    notifier.parts.limits = SendingLimits()
    async with notifier.running():
        await notifier.until(lambda states: states == (["accepted"] if calls else ["unknown"]))
    (row,) = await notifier.rows()
    assert (len(notifier.at_twilio), row.attempt) == (calls, 1 + calls)
    assert (row.resent_at is not None) == bool(calls)


async def test_a_notice_is_never_sent_a_third_time(notifier: Notifier, ask_for: AskFor) -> None:
    notifier.parts.limits = replace(notifier.parts.limits, lease=timedelta(0), unknown_after=timedelta(0))
    await notifier.break_twilio(lists="error")
    await notifier.take(ask_for(kind="receipt"))
    for _ in range(2):
        await reserve_and_die(notifier)
        await notifier.reconciliation().reconcile()
        await notifier.reconciliation().reconcile()
    assert await notifier.states() == ["unknown"]


async def test_what_the_provider_has_is_found_in_its_list(impatient: Notifier, ask_for: AskFor) -> None:
    notifier = impatient
    await notifier.break_twilio(behaviour="hang", times=1)
    reply = ask_for()
    async with notifier.running():
        await notifier.take(reply)
        await notifier.until(lambda states: states == ["unknown"])
        await notifier.reconciliation().reconcile()
    (row,) = await notifier.rows()
    (message,) = notifier.at_twilio
    assert row.state in {"accepted", "delivered"}
    assert (row.provider_id, row.sends) == (message.sid, 1)


async def test_what_no_provider_has_is_sent_again_even_an_answer_and_once(notifier: Notifier, ask_for: AskFor) -> None:
    notifier.parts.limits = replace(
        notifier.parts.limits, lease=timedelta(0), unknown_after=timedelta(0), poll_every=timedelta(0)
    )
    await notifier.take(ask_for())
    for expected in (["planned"], ["failed", "failed"]):
        await reserve_and_die(notifier)
        await notifier.reconciliation().reconcile()
        assert await notifier.states() == expected
    row = (await notifier.rows())[0]
    assert (row.sends, row.moves_to, row.failure_class) == (0, "phone", "temporary")


async def test_two_equal_texts_to_one_number_are_two_messages(impatient: Notifier, ask_for: AskFor) -> None:
    """Each finds its own in the list, whatever it says."""
    notifier = impatient
    await notifier.break_twilio(behaviour="hang", times=2)
    async with notifier.running():
        await notifier.take(ask_for("1", conversation="same"), ask_for("2", conversation="same"))
        await notifier.until(lambda states: states == ["unknown", "unknown"])
        await notifier.reconciliation().reconcile()
    found = {row.provider_id for row in await notifier.rows()}
    assert found == {message.sid for message in notifier.at_twilio}
