"""Facts about delivery states: reports in any order end alike, and a ledger is rebuilt from its topic."""

from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from services.notifier.tests.parts import MakeReply

from parvis.common.contract.delivery import DeliveryReported, DeliveryUpdated
from parvis.common.testing import AN_INSTANT
from parvis.notifier.decide.channel_choice import ChannelChooser
from parvis.notifier.decide.delivery_rebuild import build_history, group_by_delivery, is_behind, rebuild_delivery
from parvis.notifier.decide.delivery_states import (
    Transition,
    apply_transition,
    should_fall_back,
    transition_after_attempt,
    transition_from_report,
)
from parvis.notifier.models.delivery import Delivery, SendOutcome
from parvis.notifier.models.limits import SendingLimits

LIMITS = SendingLimits()


def a_delivery(**changes: Any) -> Delivery:
    values: dict[str, Any] = {
        "delivery_id": "d", "reply_id": "r", "conversation_id": "c", "reference": "P-0000-0000-0000", "kind": "answer",
        "channel": "sms", "address": "+33639980001", "address_hash": "h", "state": "reserved", "attempt": 1,
        "send_at": AN_INSTANT, "sends": 1,
    }  # fmt: skip
    return Delivery(**(values | changes))


def word(outcome: str, failure_class: str | None = None, channel: str = "sms") -> DeliveryReported:
    values = {
        "reply_id": "r", "channel": channel, "provider": "p", "outcome": outcome, "failure_class": failure_class,
        "reported_at": AN_INSTANT,
    }  # fmt: skip
    return DeliveryReported.model_validate(values)


def end_of(delivery: Delivery, words: list[DeliveryReported | SendOutcome]) -> Delivery:
    for event in words:
        if isinstance(event, SendOutcome):
            to = transition_after_attempt(event, delivery, 1, LIMITS, now=AN_INSTANT, chance=0)
        else:
            to = transition_from_report(event, delivery)
        delivery = apply_transition(delivery, to, AN_INSTANT) if to else delivery
    return delivery


YES, SILENCE = SendOutcome("accepted", "SM1"), SendOutcome("unknown", None, "temporary")


@pytest.mark.parametrize("answer", [YES, SILENCE])
@pytest.mark.parametrize(
    ("words", "state"),
    [
        ([word("accepted"), word("accepted"), word("delivered")], "delivered"),
        ([word("accepted"), word("undelivered", "unreachable")], "undelivered"),
        ([word("accepted"), word("undelivered", "unreachable"), word("delivered")], "delivered"),
        ([word("accepted"), word("failed", "temporary")], "failed"),
    ],
)
def test_every_order_of_every_callback_and_the_answer_ends_alike(
    answer: SendOutcome, words: list[DeliveryReported], state: str
) -> None:
    ends = {end_of(a_delivery(), [*order]).state for order in permutations([answer, *words, words[0], words[-1]])}
    assert ends == {state}


@given(st.data())
def test_any_number_of_callbacks_in_any_order_ends_alike(data: st.DataObject) -> None:
    reports = [word("accepted"), word("delivered"), word("undelivered", "permanent")]
    words = data.draw(st.permutations(reports + data.draw(st.lists(st.sampled_from(reports), max_size=6))))
    assert end_of(a_delivery(), [*words]).state == "delivered"
    mails = [word(w.outcome, w.failure_class, "email") for w in words]
    last = end_of(a_delivery(channel="email"), [*mails])
    assert (last.state, last.failure_class) == ("undelivered", "permanent")


@pytest.mark.parametrize("order", [("delivered", "undelivered"), ("undelivered", "delivered")])
def test_a_hard_bounce_after_delivered_wins_and_so_does_a_returned_letter(order: tuple[str, str]) -> None:
    hard = [word(w, "permanent" if w == "undelivered" else None, "email") for w in order]
    assert end_of(a_delivery(channel="email"), [*hard]).state == "undelivered"
    soft = [word(w, "temporary" if w == "undelivered" else None, "email") for w in order]
    assert end_of(a_delivery(channel="email"), [*soft]).state == "delivered"
    paper = [word(w, "unreachable" if w == "undelivered" else None, "post") for w in order]
    assert end_of(a_delivery(channel="post", state="delivered"), [*paper]).state == "undelivered"


@pytest.mark.parametrize("stage", ["to-print", "handed-over", "posted"])
def test_a_letter_that_comes_back_is_returned_for_good(stage: Any) -> None:
    posted = a_delivery(channel="post", state="accepted", stage=stage)
    back = end_of(posted, [word("undelivered", "unreachable", "post"), SendOutcome("accepted", stage="to-print")])
    assert (back.state, back.stage) == ("undelivered", "returned")


def test_the_latest_stage_counts_in_whatever_order_updates_are_read() -> None:
    updates = [update("accepted", channel="post", stage=stage) for stage in ("to-print", "handed-over", "posted")]
    assert {build_history(order).last.stage for order in permutations(updates)} == {"posted"}
    row = a_delivery(channel="post", state="accepted", stage="handed-over")
    assert [is_behind(row, update) for update in updates] == [False, False, True]


def test_a_complaint_is_no_failure() -> None:
    last = end_of(a_delivery(channel="email", state="accepted"), [word("delivered", "opted-out", "email")])
    assert (last.state, last.failure_class) == ("delivered", None)


@pytest.mark.parametrize(
    ("state", "failure_class", "moves"),
    [
        ("failed", "permanent", True),
        ("failed", "opted-out", True),
        ("failed", "too-long", True),
        ("failed", "refused", True),
        ("failed", "temporary", True),
        ("undelivered", "unreachable", True),
        ("failed", "budget", False),
        ("failed", "no-address", False),
        ("unknown", "temporary", False),
        ("accepted", None, False),
        ("delivered", None, False),
        ("cancelled", None, False),
    ],
)
def test_the_failure_class_decides_whether_the_next_channel_is_tried(
    state: Any, failure_class: Any, moves: bool
) -> None:
    assert should_fall_back(a_delivery(state=state, failure_class=failure_class)) == moves


@given(st.lists(st.sampled_from(["retry", "unknown", "accepted", "failed"]), min_size=1, max_size=6))
def test_sends_are_counted_where_the_provider_took_or_may_have_taken_it(outcomes: list[Any]) -> None:
    delivery, taken = a_delivery(state="planned", attempt=0, sends=0), 0
    for state in outcomes:
        if delivery.state != "planned":
            break
        delivery = apply_transition(delivery, Transition("reserved"), AN_INSTANT)
        delivery = replace(delivery, attempt=delivery.attempt + 1, sends=delivery.sends + 1)
        to = transition_after_attempt(SendOutcome(state), delivery, delivery.attempt, LIMITS, now=AN_INSTANT, chance=0)
        delivery = apply_transition(delivery, to, AN_INSTANT)
        taken += state in {"accepted", "unknown"}
    assert delivery.sends == taken <= 1


def update(state: str, attempt: int = 1, **changes: Any) -> DeliveryUpdated:
    values: dict[str, Any] = {
        "delivery_id": "d", "reply_id": "r", "conversation_id": "c", "reference": "P-0000-0000-0000", "kind": "answer",
        "channel": "sms", "attempt": attempt, "state": state, "at": AN_INSTANT,
    }  # fmt: skip
    return DeliveryUpdated.model_validate(values | changes)


@pytest.mark.parametrize(
    ("words", "state", "attempt", "sends"),
    [
        ([update("reserved")], "unknown", 1, 1),
        ([update("reserved"), update("accepted")], "accepted", 1, 1),
        ([update("reserved"), update("planned"), update("reserved", 2)], "unknown", 2, 1),
        ([update("reserved"), update("planned"), update("reserved", 2), update("delivered", 2)], "delivered", 2, 1),
        ([update("reserved"), update("planned")], "planned", 1, 0),
        (
            [update("reserved"), update("unknown"), update("planned"), update("reserved", 2), update("accepted", 2)],
            "accepted",
            2,
            2,
        ),
        ([update("reserved"), update("reserved", 2), update("accepted", 2)], "accepted", 2, 1),
        ([update("failed", failure_class="no-address")], "failed", 0, 0),
    ],
)
def test_a_ledger_is_rebuilt_from_its_events_in_any_order(
    addressing: ChannelChooser,
    make_reply: MakeReply,
    words: list[DeliveryUpdated],
    state: str,
    attempt: int,
    sends: int,
) -> None:
    for order in permutations(words):
        row = rebuild_delivery(group_by_delivery([*order, *order])["d"], make_reply(), addressing, None)
        assert (row.state, row.attempt, row.sends) == (state, attempt, sends)
        assert not is_behind(row, group_by_delivery(order)["d"].last)


@pytest.mark.parametrize(
    ("row", "event", "behind"),
    [
        (None, update("reserved"), True),
        (a_delivery(state="planned", attempt=0), update("reserved"), True),
        (a_delivery(state="reserved"), update("accepted"), True),
        (a_delivery(state="accepted"), update("reserved"), False),
        (a_delivery(state="failed", attempt=0), update("failed"), False),
        (a_delivery(state="reserved", attempt=2), update("planned"), False),
        (a_delivery(state="delivered"), update("delivered"), False),
        (a_delivery(state="planned", attempt=1), update("reserved"), False),  # given back: its provider was not called
        (a_delivery(state="planned", attempt=1), update("reserved", 2), True),
        (a_delivery(state="planned", attempt=0), update("cancelled"), False),  # called off, and taken up again
    ],
)
def test_a_row_is_behind_only_after_a_backup(row: Delivery | None, event: DeliveryUpdated, behind: bool) -> None:
    assert is_behind(row, event) == behind
