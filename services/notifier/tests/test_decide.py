"""Facts about the choice of a channel, the send limits, and the next state after an attempt."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from services.notifier.tests.parts import MakeReply

from parvis.common.contract.contact import ContactPoint
from parvis.common.contract.preference import SMS_HELP, PreferenceChanged, PreferencePersonalData
from parvis.common.contract.reply import ReplyRequested
from parvis.common.testing import AN_INSTANT
from parvis.common.town.models import TownConfig
from parvis.notifier.decide.channel_choice import ChannelChooser, is_own_address
from parvis.notifier.decide.delivery_states import (
    FIRST_WAIT,
    LONGEST_BEHIND_A_BREAKER,
    LONGEST_WAIT,
    may_resend,
    retry_delay,
    state_after_lapsed_lease,
    transition_after_attempt,
)
from parvis.notifier.decide.preferences import EffectivePreference, effective_preference
from parvis.notifier.decide.send_budget import SendCounts, refuse_over_budget
from parvis.notifier.models.delivery import Delivery, SendOutcome
from parvis.notifier.models.limits import SendingLimits

MOBILE = ContactPoint(kind="phone", value="+33639980001")
MAIL = ContactPoint(kind="email", value="celeste@citizens.example")
HOME = ContactPoint(kind="post", value="Mme Céleste EXEMPLE\n12 rue de la Fontaine\n99999 VILLE-EXEMPLE")
LIMITS = SendingLimits()


def stop(
    addressing: ChannelChooser, point: ContactPoint, *channels: str, **changes: Any
) -> dict[str, PreferenceChanged]:
    name = addressing.hash_of(point)
    values: dict[str, Any] = {
        "contact_point_hash": name,
        "opt_outs": channels,
        "source": "sms-stop",
        "changed_at": AN_INSTANT,
        "personal": PreferencePersonalData(contact_point=point),
    }
    return {name: PreferenceChanged(**(values | changes))}


def chosen(
    addressing: ChannelChooser, reply: ReplyRequested, preferences: dict[str, PreferenceChanged] | None = None
) -> tuple[str, str]:
    choice = addressing.choose(
        reply, {name: effective_preference([change]) for name, change in (preferences or {}).items()}
    )
    return choice.channel, choice.failure_class or choice.address


def a_delivery(addressing: ChannelChooser, reply: ReplyRequested, **changes: Any) -> Delivery:
    return replace(addressing.build_delivery(reply, addressing.choose(reply, {})), **changes)


@pytest.mark.parametrize(
    ("channel", "point", "expected"),
    [
        ("sms", MOBILE, "sms"),
        ("whatsapp", MOBILE, "sms"),
        ("email", MAIL, "email"),
        ("post", HOME, "post"),
        ("web", MAIL, "email"),
        ("web", HOME, "post"),
        ("counter", MOBILE, "sms"),
    ],
)
def test_a_reply_goes_where_the_citizen_wrote_from(
    addressing: ChannelChooser, make_reply: MakeReply, channel: str, point: ContactPoint, expected: str
) -> None:
    assert chosen(addressing, make_reply(channel=channel, points=(point,))) == (expected, point.value)


def test_a_stated_preference_goes_before_the_channel_of_the_contact(
    addressing: ChannelChooser, make_reply: MakeReply
) -> None:
    stated = [{"channel": "sms", "address": "06 39 98 00 02"}, {"channel": "post", "address": HOME.value}]
    reply = make_reply(channel="email", points=(MAIL,), personal={"stated": stated})
    assert chosen(addressing, reply) == ("sms", "+33639980002")


def test_a_stored_preference_goes_before_the_channel_of_the_contact(
    addressing: ChannelChooser, make_reply: MakeReply
) -> None:
    preferences = stop(
        addressing,
        MAIL,
        personal=PreferencePersonalData.model_validate(
            {"contact_point": MAIL, "reply_channels": [{"channel": "post", "address": HOME.value}]}
        ),
    )
    assert chosen(addressing, make_reply(channel="email", points=(MAIL,)), preferences) == ("post", HOME.value)


def test_stop_does_not_forget_the_order_of_channels(addressing: ChannelChooser, make_reply: MakeReply) -> None:
    name = addressing.hash_of(MOBILE)
    preference = {"contact_point": MOBILE, "reply_channels": [{"channel": "post", "address": HOME.value}]}
    ordered = stop(addressing, MOBILE, personal=PreferencePersonalData.model_validate(preference))[name]
    now = effective_preference([ordered, stop(addressing, MOBILE, "sms")[name]])
    assert now.opt_outs == {"sms"}
    choice = addressing.choose(make_reply(), {name: now})
    assert (choice.channel, choice.address) == ("post", HOME.value)


def test_help_after_stop_keeps_the_opt_out(addressing: ChannelChooser) -> None:
    name = addressing.hash_of(MOBILE)
    help_request = stop(addressing, MOBILE, source=SMS_HELP)[name]
    assert effective_preference([stop(addressing, MOBILE, "sms")[name], help_request]).opt_outs == {"sms"}


def test_a_stated_address_that_is_none_is_passed_over(addressing: ChannelChooser, make_reply: MakeReply) -> None:
    stated = [{"channel": "email", "address": "not an address"}, {"channel": "inbox", "address": ""}]
    assert chosen(addressing, make_reply(personal={"stated": stated})) == ("sms", MOBILE.value)


def test_a_citizen_who_asks_for_a_call_gets_a_task_and_no_sms(
    addressing: ChannelChooser, make_reply: MakeReply
) -> None:
    reply = make_reply(personal={"stated": [{"channel": "phone", "address": MOBILE.value}]})
    assert chosen(addressing, reply) == ("phone", "no-address")


def test_a_caller_is_called_back(addressing: ChannelChooser, make_reply: MakeReply) -> None:
    assert chosen(addressing, make_reply(channel="phone")) == ("phone", "no-address")


def test_a_reply_without_any_address_is_a_task_for_people(addressing: ChannelChooser, make_reply: MakeReply) -> None:
    reply = make_reply(channel="web", points=())
    assert chosen(addressing, reply) == ("phone", "no-address")
    assert a_delivery(addressing, reply).state == "failed"


def test_legal_notices_move_to_another_channel_after_stop(addressing: ChannelChooser, make_reply: MakeReply) -> None:
    preferences = stop(addressing, MOBILE, "sms")
    assert chosen(addressing, make_reply(points=(MOBILE, HOME)), preferences) == ("post", HOME.value)
    assert chosen(addressing, make_reply(), preferences) == ("phone", "opted-out")


def test_after_stop_an_answer_takes_another_channel_and_information_does_not(
    addressing: ChannelChooser, make_reply: MakeReply
) -> None:
    preferences = stop(addressing, MOBILE, "sms")
    assert chosen(addressing, make_reply(points=(MOBILE, HOME), legal=False), preferences) == ("post", HOME.value)
    status = make_reply(kind="status", points=(MOBILE, HOME), legal=False)
    assert chosen(addressing, status, preferences) == ("phone", "opted-out")


def test_information_after_stop_goes_only_to_a_channel_that_the_citizen_named(
    addressing: ChannelChooser, make_reply: MakeReply
) -> None:
    stated = [{"channel": "sms", "address": MOBILE.value}, {"channel": "email", "address": MAIL.value}]
    status = make_reply(kind="status", legal=False, personal={"stated": stated})
    assert chosen(addressing, status, stop(addressing, MOBILE, "sms")) == ("email", MAIL.value)


def test_nothing_is_sent_to_ourselves(
    addressing: ChannelChooser, town_config: TownConfig, make_reply: MakeReply
) -> None:
    town = town_config.town
    for value in (town.mailbox, f"bounce+x.y@{town.mail_domain}", next(iter(town_config.departments.values())).email):
        point = ContactPoint(kind="email", value=value)
        assert is_own_address(point, addressing.own)
        assert chosen(addressing, make_reply(channel="email", points=(point,))) == ("phone", "no-address")
    ours = ContactPoint(kind="phone", value=town.sms_number)
    assert chosen(addressing, make_reply(points=(ours,))) == ("phone", "no-address")


@given(
    channel=st.sampled_from(["sms", "whatsapp", "email", "web", "post", "phone", "counter", "fax"]),
    stated=st.lists(
        st.fixed_dictionaries(
            {
                "channel": st.sampled_from(["sms", "whatsapp", "email", "post", "inbox", "phone"]),
                "address": st.text(max_size=60)
                | st.sampled_from([MAIL.value, HOME.value, MOBILE.value, "+33536490100"]),
            }
        ),
        max_size=4,
    ),
    points=st.lists(st.sampled_from([MOBILE, MAIL, HOME]), max_size=3),
    legal=st.booleans(),
)
def test_a_choice_is_an_address_or_a_reason(
    addressing: ChannelChooser,
    make_reply: MakeReply,
    channel: str,
    stated: list[dict[str, str]],
    points: list[ContactPoint],
    legal: bool,
) -> None:
    reply = make_reply(channel=channel, points=tuple(points), legal=legal, personal={"stated": stated})
    choice = addressing.choose(reply, {})
    delivery = addressing.build_delivery(reply, choice)
    assert (delivery.state == "planned") == (choice.failure_class is None)
    if delivery.state == "planned":
        assert choice.channel in {"sms", "email", "post", "inbox"}
        assert choice.address not in addressing.own
        assert delivery.address_hash


@pytest.mark.parametrize("kind", ["registration", "receipt", "status", "question", "transfer"])
def test_the_sixth_automatic_message_of_a_day_fails_visibly(
    addressing: ChannelChooser, make_reply: MakeReply, kind: str
) -> None:
    delivery = a_delivery(addressing, make_reply(kind=kind))
    assert refuse_over_budget(delivery, SendCounts(automatic=4, answers=20), LIMITS) is None
    no = refuse_over_budget(delivery, SendCounts(automatic=5), LIMITS)
    assert no
    assert (no.state, no.failure_class) == ("failed", "budget")


def test_answers_have_a_larger_budget(addressing: ChannelChooser, make_reply: MakeReply) -> None:
    delivery = a_delivery(addressing, make_reply())
    assert refuse_over_budget(delivery, SendCounts(automatic=50, answers=29), LIMITS) is None
    assert refuse_over_budget(delivery, SendCounts(answers=30), LIMITS)


def test_nobody_is_told_twice_of_a_registration_and_a_second_receipt_is_dropped(
    addressing: ChannelChooser, make_reply: MakeReply
) -> None:
    again = SendCounts(of_same_kind=1)
    registration = refuse_over_budget(
        a_delivery(addressing, make_reply(kind="registration")), replace(again, has_registration=True), LIMITS
    )
    receipt = refuse_over_budget(a_delivery(addressing, make_reply(kind="receipt")), again, LIMITS)
    assert registration
    assert registration.failure_class == "budget"
    assert receipt
    assert receipt.state == "cancelled"


def test_a_few_people_who_join_are_told_of_the_registration_and_a_flood_is_not(
    addressing: ChannelChooser, make_reply: MakeReply
) -> None:
    joined = a_delivery(addressing, make_reply(kind="registration"))
    assert refuse_over_budget(joined, SendCounts(of_same_kind=4), LIMITS) is None
    refused = refuse_over_budget(joined, SendCounts(of_same_kind=5), LIMITS)
    assert refused
    assert (refused.state, refused.failure_class) == ("failed", "budget")


def test_a_refused_call_waits_longer_each_time_and_gives_up_after_two_days(
    addressing: ChannelChooser, make_reply: MakeReply
) -> None:
    delivery = a_delivery(addressing, make_reply(), state="reserved", attempt=1, first_reserved_at=AN_INSTANT)
    refused = SendOutcome("retry", failure_class="temporary", detail="20429")
    soon = transition_after_attempt(refused, delivery, 1, LIMITS, now=AN_INSTANT, chance=0)
    assert (soon.state, soon.wait) == ("planned", FIRST_WAIT)
    often = replace(delivery, attempt=9)
    assert (
        transition_after_attempt(refused, often, 9, LIMITS, now=AN_INSTANT, chance=0, is_pausable=True).wait
        == LONGEST_BEHIND_A_BREAKER
    )
    assert (
        transition_after_attempt(refused, replace(often, channel="email"), 9, LIMITS, now=AN_INSTANT, chance=0).wait
        == LONGEST_WAIT
    )
    late = transition_after_attempt(refused, delivery, 1, LIMITS, now=AN_INSTANT + timedelta(hours=48), chance=0)
    assert (late.state, late.failure_class) == ("failed", "temporary")


@pytest.mark.parametrize(
    ("current_state", "attempt", "outcome", "expected"),
    [
        ("reserved", 1, "accepted", "accepted"),
        ("reserved", 1, "unknown", "unknown"),
        ("unknown", 1, "accepted", "accepted"),  # the lease lapsed before the provider answered
        ("unknown", 1, "retry", "planned"),
        ("delivered", 1, "accepted", "delivered"),  # a callback was faster than the answer
        ("delivered", 1, "retry", "delivered"),
        ("accepted", 1, "unknown", "accepted"),
        ("reserved", 2, "failed", "reserved"),  # a second attempt is under way
        ("reserved", 2, "unknown", "reserved"),
        ("reserved", 2, "accepted", "accepted"),
    ],
)
def test_an_answer_never_overrides_a_later_state(
    addressing: ChannelChooser, make_reply: MakeReply, current_state: str, attempt: int, outcome: str, expected: str
) -> None:
    delivery = a_delivery(addressing, make_reply(), state=current_state, attempt=attempt)
    assert (
        transition_after_attempt(
            replace(SendOutcome("unknown"), state=outcome), delivery, 1, LIMITS, now=AN_INSTANT, chance=0
        ).state
        == expected
    )


@given(attempt=st.integers(1, 10_000), chance=st.floats(0, 1, exclude_max=True))
def test_a_wait_is_between_half_and_five_minutes(attempt: int, chance: float) -> None:
    assert FIRST_WAIT / 2 <= retry_delay(attempt, chance, LONGEST_WAIT) <= LONGEST_WAIT


def test_silence_is_never_a_reason_to_send_again_at_once(addressing: ChannelChooser, make_reply: MakeReply) -> None:
    delivery = a_delivery(addressing, make_reply(), state="reserved", attempt=1)
    assert (
        transition_after_attempt(SendOutcome("unknown"), delivery, 1, LIMITS, now=AN_INSTANT, chance=0.5).state
        == "unknown"
    )
    assert state_after_lapsed_lease(delivery) == "unknown"
    assert state_after_lapsed_lease(replace(delivery, channel="post")) == "planned"


def test_only_notices_are_sent_a_second_time_and_only_once(addressing: ChannelChooser, make_reply: MakeReply) -> None:
    notice = a_delivery(addressing, make_reply(kind="registration"), state="unknown", attempt=1)
    assert may_resend(notice)
    assert not may_resend(replace(notice, resent_at=AN_INSTANT))
    assert not may_resend(a_delivery(addressing, make_reply(), state="unknown", attempt=1))


def test_a_telephone_that_said_stop_gets_no_notice_of_the_inbox_either(
    addressing: ChannelChooser, make_reply: MakeReply
) -> None:
    reply = make_reply(points=(MOBILE, MAIL), personal={"stated": [{"channel": "inbox", "address": MOBILE.value}]})
    assert addressing.choose(reply, {}).channel == "inbox"
    stopped = {addressing.hash_of(MOBILE): EffectivePreference(opt_outs=frozenset({"sms", "whatsapp"}))}
    assert addressing.choose(reply, stopped).channel == "email"
