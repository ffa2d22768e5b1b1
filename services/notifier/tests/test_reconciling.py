"""What no answer ended: lapsed leases and old unknowns."""

from dataclasses import replace
from datetime import timedelta

import pytest
from services.notifier.tests.parts import AskFor, Notifier

from parvis.notifier.rules import Limits

pytestmark = pytest.mark.stack


async def test_a_lapsed_lease_is_unknown_for_an_sms(notifier: Notifier, ask_for: AskFor) -> None:
    notifier.limits = replace(notifier.limits, lease=timedelta(0))
    await notifier.take(ask_for())
    await reserve_and_die(notifier)
    await notifier.reconciling().reconcile()
    assert await notifier.states() == ["unknown"]


async def reserve_and_die(notifier: Notifier) -> None:
    """As after kill -9 between the reservation and the provider's answer."""
    reserved = await notifier.sending()._reserve(10)  # pyright: ignore[reportPrivateUsage] (dying there is the test)
    assert len(reserved) == 1


@pytest.mark.parametrize(("kind", "calls"), [("registration", 1), ("answer", 0)])
async def test_what_stays_unknown_is_sent_a_last_time_only_if_it_is_a_notice(
    notifier: Notifier, ask_for: AskFor, kind: str, calls: int
) -> None:
    notifier.limits = replace(notifier.limits, lease=timedelta(0), unknown_after=timedelta(0))
    await notifier.take(ask_for(kind=kind))
    await reserve_and_die(notifier)
    for _ in range(3):
        await notifier.reconciling().reconcile()
    notifier.limits = Limits()
    async with notifier.running():
        await notifier.until(lambda states: states == (["accepted"] if calls else ["unknown"]))
    (row,) = await notifier.rows()
    assert (len(notifier.at_twilio), row.attempt) == (calls, 1 + calls)
    assert (row.resent_at is not None) == bool(calls)


async def test_a_notice_is_never_sent_a_third_time(notifier: Notifier, ask_for: AskFor) -> None:
    notifier.limits = replace(notifier.limits, lease=timedelta(0), unknown_after=timedelta(0))
    await notifier.take(ask_for(kind="receipt"))
    for _ in range(2):
        await reserve_and_die(notifier)
        await notifier.reconciling().reconcile()
        await notifier.reconciling().reconcile()
    assert await notifier.states() == ["unknown"]
