"""Facts about the balance of SMS providers: circuit breakers, shares, sender rates, and the gateway's answers."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from services.notifier.tests.parts import MakeReply, Notifier

from parvis.common.contract.contact import ContactPoint
from parvis.common.testing import AN_INSTANT
from parvis.notifier.send.sms import SenderNumbers
from parvis.notifier.send.sms.http_gateway import outcome_of
from parvis.notifier.send.sms.load_balancer import FAILURES_UNTIL_OPEN, LONGEST_REST, ProviderBalance, SenderRates
from parvis.simulators.app import Simulators
from parvis.simulators.twilio.faults import TwilioFaults

SECOND = timedelta(seconds=1)


def fail(balance: ProviderBalance, name: str, times: int, at: int = 0) -> None:
    for _ in range(times):
        balance.record_call(name, well=False, took=SECOND, now=AN_INSTANT + at * SECOND)


def test_after_five_failures_a_provider_pauses_and_one_call_tests_it() -> None:
    balance = ProviderBalance({"a": 100, "b": 0})
    assert balance.pick(AN_INSTANT, 0.5) == "a"
    fail(balance, "a", FAILURES_UNTIL_OPEN)
    assert balance.pick(AN_INSTANT, 0.5) == "b"
    later = AN_INSTANT + 11 * SECOND
    assert balance.pick(later, 0.5) == "a"
    assert balance.pick(later, 0.5) == "b"  # only one tries
    balance.record_call("a", well=True, took=SECOND, now=later)
    assert balance.pick(later, 0.5) == "a"


def test_no_provider_is_called_while_all_are_paused() -> None:
    balance = ProviderBalance({"a": 50, "b": 50})
    for name in ("a", "b"):
        fail(balance, name, FAILURES_UNTIL_OPEN)
    assert balance.is_paused(AN_INSTANT)
    assert balance.pick(AN_INSTANT, 0.1) is None
    assert not balance.is_paused(AN_INSTANT + 11 * SECOND)


def test_rests_grow_to_half_a_minute_and_no_longer() -> None:
    balance, at = ProviderBalance({"a": 100}), 0
    for _ in range(12):
        fail(balance, "a", FAILURES_UNTIL_OPEN, at)
        assert balance.is_paused(AN_INSTANT + at * SECOND)
        at += int(LONGEST_REST.total_seconds())
        assert not balance.is_paused(AN_INSTANT + at * SECOND)
        assert balance.pick(AN_INSTANT + at * SECOND, 0.5) == "a"


def test_slowness_moves_ten_points_at_most_every_five_minutes_and_they_come_back() -> None:
    balance = ProviderBalance({"a": 50, "b": 50})
    for second in range(0, 400, 2):
        at = AN_INSTANT + second * SECOND
        balance.record_call("a", well=True, took=6 * SECOND if second % 4 else SECOND, now=at)
        balance.record_call("b", well=True, took=SECOND, now=at)
    assert balance.points == {"a": 30, "b": 70}
    for minute in range(20, 70):
        for name in ("a", "b"):
            balance.record_call(name, well=True, took=SECOND, now=AN_INSTANT + minute * 60 * SECOND)
    assert balance.points == {"a": 50, "b": 50}


def test_when_both_are_slow_nothing_moves() -> None:
    balance = ProviderBalance({"a": 50, "b": 50})
    for second in range(600):
        for name in ("a", "b"):
            balance.record_call(name, well=True, took=6 * SECOND, now=AN_INSTANT + second * SECOND)
    assert balance.points["a"] in {40, 50, 60}  # the first to have twenty calls may lose once; never a race to nothing


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b"]), st.booleans(), st.integers(0, 600)), max_size=80), st.floats(0, 1)
)
def test_shares_always_add_up_and_somebody_is_picked_or_all_rest(
    calls: list[tuple[str, bool, int]], chance: float
) -> None:
    balance, at = ProviderBalance({"a": 50, "b": 50}), AN_INSTANT
    for name, well, after in calls:
        at += after * SECOND
        balance.record_call(name, well=well, took=SECOND, now=at)
    assert sum(balance.points.values()) == 100
    assert min(balance.points.values()) >= 0
    assert (balance.pick(at, chance) is None) == balance.is_paused(at) or not balance.is_paused(at)


def test_a_sender_sends_a_seconds_worth_at_once_and_then_as_fast_as_it_may() -> None:
    rates = SenderRates(4)
    waits = [rates.take("MG1", AN_INSTANT) for _ in range(6)]
    assert waits[:4] == [timedelta()] * 4
    assert waits[4:] == [SECOND / 4, SECOND / 2]
    assert rates.take("MG2", AN_INSTANT) == timedelta()
    assert SenderRates(0).take("MG1", AN_INSTANT) == timedelta()


def test_a_department_may_have_its_own_sender() -> None:
    senders = SenderNumbers("+33536490100", {"voirie": "MG1"})
    assert (senders.for_department("voirie"), senders.for_department("etat-civil")) == ("MG1", "+33536490100")


@pytest.mark.parametrize(
    ("status", "word", "state", "failure_class"),
    [
        (202, "", "accepted", None),
        (409, "duplicate", "accepted", None),
        (422, "invalid-number", "failed", "permanent"),
        (422, "opted-out", "failed", "opted-out"),
        (422, "something new", "failed", "refused"),
        (401, "token", "retry", "temporary"),
        (429, "", "retry", "temporary"),
        (503, "", "retry", "temporary"),
        (500, "", "unknown", "temporary"),
    ],
)
def test_each_answer_of_a_gateway_has_its_meaning(
    status: int, word: str, state: str, failure_class: str | None
) -> None:
    outcome = outcome_of(status, word, "d")
    assert (outcome.state, outcome.failure_class) == (state, failure_class)


@pytest.fixture
def with_gateway(a_notifier: Callable[..., Notifier], outside: Simulators) -> Callable[..., Notifier]:
    """Builds notifiers that have a second provider beside Twilio."""

    def build(**changes: Any) -> Notifier:
        url = f"{outside.twilio_url}/gateway"
        return a_notifier(sms_gateway_url=url, sms_gateway_token="not-a-secret", **changes)

    return build


@pytest.mark.stack
async def test_the_gateway_takes_what_twilio_refuses_and_is_asked_how_far_it_got(
    with_gateway: Callable[..., Notifier], make_reply: MakeReply
) -> None:
    notifier = with_gateway(sms_shares={"twilio": 0, "gateway": 100}, sms_senders={"etat-civil": "MG" + "0" * 32})
    points = (ContactPoint(kind="phone", value="+33639989905"),)
    async with notifier.running():
        await notifier.take(make_reply("1"), make_reply("2", points=points, conversation="2"))
        await notifier.until(lambda states: states == ["accepted", "accepted"])
        await notifier.reconciliation().reconcile()
        await notifier.until(lambda states: states[:2] == ["delivered", "undelivered"])
    rows = await notifier.rows()
    assert {row.provider for row in rows[:2]} == {"gateway"}
    assert rows[1].failure_class == "permanent"
    assert {message.sender for message in notifier.outside.gateway.messages.values()} == {"MG" + "0" * 32}


@pytest.mark.stack
async def test_what_one_provider_surely_did_not_take_the_other_takes_at_once(
    with_gateway: Callable[..., Notifier], make_reply: MakeReply
) -> None:
    notifier = with_gateway(sms_shares={"twilio": 100, "gateway": 0})
    notifier.outside.twilio.carrier.faults = TwilioFaults(behaviour="too-many")
    async with notifier.running():
        await notifier.take(make_reply())
        await notifier.until(lambda states: states == ["accepted"])
    (row,) = await notifier.rows()
    assert (row.provider, row.attempt) == ("gateway", 1)
    assert len(notifier.outside.gateway.messages) == 1
    assert not notifier.outside.twilio.account.messages
