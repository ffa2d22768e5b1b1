"""Facts about what strangers can make the town pay: the numbers that get SMS, and the budgets of a day."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY
from services.notifier.tests.parts import MakeReply, Notifier

from parvis.common.contract.contact import ContactPoint
from parvis.common.contract.normalize_contact_points import mailbox_of
from parvis.common.contract.reply import ReplyRequested
from parvis.common.runtime.clock import now
from parvis.common.text.sms_encoding import count_segments
from parvis.notifier.decide.channel_choice import ChannelChooser
from parvis.notifier.decide.send_budget import AutomaticCost, DaySpending
from parvis.notifier.models.limits import DailyBudget, SendingLimits
from parvis.notifier.store.send_counts import spending_of_day


def phone(number: str) -> tuple[ContactPoint, ...]:
    return (ContactPoint(kind="phone", value=number),)


@pytest.mark.parametrize(
    ("number", "kind", "channel"),
    [
        ("+33639980001", "registration", "sms"),
        ("+262692399801", "registration", "sms"),
        ("+4915112345678", "registration", "sms"),
        ("+5351234567", "registration", "phone"),
        ("+25261234567", "status", "phone"),
        ("+25261234567", "answer", "sms"),
        ("+870773111632", "answer", "phone"),
        ("+881612345678", "registration", "phone"),
        ("+97912345678", "registration", "phone"),
        ("+19005551234", "answer", "phone"),
        ("+447012345678", "registration", "phone"),
        ("+33899123456", "registration", "phone"),
    ],
)
def test_the_numbers_that_get_sms(
    addressing: ChannelChooser, make_reply: MakeReply, number: str, kind: str, channel: str
) -> None:
    reply = make_reply(channel="web", points=phone(number)).model_copy(update={"kind": kind})
    assert addressing.choose(reply, {}).channel == channel


def test_a_listed_country_gets_automatic_sms(addressing: ChannelChooser, make_reply: MakeReply) -> None:
    chooser = replace(addressing, sms_regions=frozenset({"SO"}))
    reply = make_reply(channel="web", points=phone("+25261234567")).model_copy(update={"kind": "registration"})
    assert chooser.choose(reply, {}).channel == "sms"


ADDRESS = ContactPoint(kind="post", value="Anna Muster\n1 rue des Lilas\n65000 Exemple")
MAIL = ContactPoint(kind="email", value="anna@exemple.example")
BY_LETTER = {"channel": "post", "address": ADDRESS.value}


@pytest.mark.parametrize(
    ("kind", "contact", "wishes", "points", "channel"),
    [
        ("registration", "web", [BY_LETTER], (ADDRESS, MAIL), "email"),
        ("registration", "web", [BY_LETTER], (ADDRESS, *phone("+33639980001")), "sms"),
        ("registration", "web", [BY_LETTER, {"channel": "phone", "address": "+33536490001"}], (ADDRESS, MAIL), "email"),
        ("registration", "web", [BY_LETTER, {"channel": "phone", "address": "+33536490001"}], (ADDRESS,), "post"),
        ("registration", "web", [BY_LETTER], (ADDRESS, *phone("+33536490001")), "post"),
        ("registration", "web", [BY_LETTER], (ADDRESS,), "post"),
        ("registration", "post", [], (ADDRESS, MAIL), "post"),
        ("answer", "web", [BY_LETTER], (ADDRESS, MAIL), "post"),
    ],
)
def test_a_registration_is_printed_only_for_those_who_wrote_by_letter_or_have_no_other_way(
    addressing: ChannelChooser,
    make_reply: MakeReply,
    kind: str,
    contact: str,
    wishes: list[dict[str, str]],
    points: tuple[ContactPoint, ...],
    channel: str,
) -> None:
    reply = make_reply(kind=kind, channel=contact, points=points, personal={"stated": wishes})
    assert addressing.choose(reply, {}).channel == channel


def test_a_registration_whose_mail_did_not_arrive_is_printed(addressing: ChannelChooser, make_reply: MakeReply) -> None:
    reply = make_reply(kind="registration", channel="web", points=(ADDRESS, MAIL), personal={"stated": [BY_LETTER]})
    assert addressing.choose(reply, {}, {"email"}).channel == "post"


def test_money_bounds_sms_and_letters_together() -> None:
    limits, budget = SendingLimits(segment_cents=10, letter_cents=100), DailyBudget(segments=100, letters=9, cents=200)
    assert AutomaticCost(10, 1).find_excess(budget, limits) is None
    assert AutomaticCost(11, 1).find_excess(budget, limits) == "money"


@pytest.mark.parametrize(
    ("spent", "sources", "exhausted"),
    [
        ({}, ("home", "street", "town"), None),
        ({"home": 10}, ("home", "street", "town"), "source-segments"),
        ({"home": 10}, ("other", "street", "town"), None),
        ({"street": 50}, ("other", "street", "town"), "source-segments"),
        ({"town": 250}, ("other", "elsewhere", "town"), "source-segments"),
        ({"street": 50}, (), None),
    ],
)
def test_a_wider_source_may_cost_more(spent: dict[str, int], sources: tuple[str, ...], exhausted: str | None) -> None:
    limits = SendingLimits(source_budget=DailyBudget(segments=10, letters=9, cents=900), wider_source_times=5)
    spending = DaySpending(by_source={source: AutomaticCost(segments) for source, segments in spent.items()})
    assert spending.find_exhausted(AutomaticCost(segments=1), sources, limits) == exhausted


def notice(
    make_reply: MakeReply, number: int, *, source: str, points: tuple[ContactPoint, ...] = (), **more: Any
) -> ReplyRequested:
    points = points or phone(f"+3363998{number:04}")
    return make_reply(
        str(number),
        kind="registration",
        points=points,
        conversation=str(number),
        sources=(source,),
        **({"send_at": now()} | more),
    )


def count_over_budget() -> float:
    labels = {"channel": "sms", "budget": "source-segments"}
    return REGISTRY.get_sample_value("parvis_messages_over_budget_total", labels) or 0


def small_source(notifier: Notifier) -> None:
    """One SMS, or one letter, because of one source."""
    notifier.parts.limits = replace(notifier.parts.limits, source_budget=DailyBudget(segments=3, letters=1, cents=900))


@pytest.mark.stack
async def test_a_flood_from_one_source_takes_nothing_from_others(notifier: Notifier, make_reply: MakeReply) -> None:
    small_source(notifier)
    held = count_over_budget()
    async with notifier.running():
        await notifier.take(*(notice(make_reply, n, source="flood") for n in range(10)))
        await notifier.take(notice(make_reply, 20, source="a home"), notice(make_reply, 21, source="another"))
        await notifier.until(lambda states: states.count("accepted") == 3)
    assert [row.state for row in await notifier.rows()] == ["accepted", *["planned"] * 9, *["accepted"] * 2]
    assert count_over_budget() == held + 9
    assert notifier.parts.clients.health.notes == {}


@pytest.mark.stack
async def test_letters_of_one_source_are_bounded(notifier: Notifier, make_reply: MakeReply) -> None:
    small_source(notifier)
    addresses = [(ContactPoint(kind="post", value=f"Anna Muster\n{n} rue des Lilas\n65000 Exemple"),) for n in (1, 2)]
    async with notifier.running():
        await notifier.take(
            *(notice(make_reply, n, source="flood", points=address) for n, address in enumerate(addresses)),
            notice(make_reply, 9, source="a home", points=(ADDRESS,)),
        )
        await notifier.until(lambda states: states.count("accepted") == 2)
    assert [row.state for row in await notifier.rows()] == ["accepted", "planned", "accepted"]


@pytest.mark.stack
async def test_over_the_budget_of_its_source_a_notice_goes_by_mail(notifier: Notifier, make_reply: MakeReply) -> None:
    small_source(notifier)
    async with notifier.running():
        await notifier.take(
            *(notice(make_reply, n, source="flood", points=(*phone(f"+336399800{n}"), MAIL)) for n in (10, 11))
        )
        await notifier.until(lambda states: sorted(states) == ["accepted", "accepted", "failed"])
    rows = {(row.channel, row.state, row.step, row.moves_to) for row in await notifier.rows()}
    assert {("sms", "failed", 1, "email"), ("email", "accepted", 2, None)} <= rows


@pytest.mark.stack
async def test_after_two_days_over_the_budget_of_its_source_a_person_decides(
    notifier: Notifier, make_reply: MakeReply
) -> None:
    small_source(notifier)
    old = now() - timedelta(hours=49)
    async with notifier.running():
        await notifier.take(*(notice(make_reply, n, source="flood", send_at=old) for n in (1, 2)))
        await notifier.until(lambda states: sorted(states) == ["accepted", "failed"])
    assert [row.failure_class for row in await notifier.rows()] == [None, "budget"]


@pytest.mark.stack
@pytest.mark.parametrize("language", ["fr", "en", "ar"])
async def test_a_budget_counts_the_segments_that_are_paid(
    notifier: Notifier, make_reply: MakeReply, language: str
) -> None:
    async with notifier.running():
        await notifier.take(notice(make_reply, 1, source="a home", language=language))
        await notifier.until(lambda states: states == ["accepted"])
    async with notifier.database.transaction() as connection:
        spent = await spending_of_day(connection, ["a home"], now())
    segments = count_segments(notifier.at_twilio[0].body)[1]
    assert segments > 1
    assert (spent.town.segments, spent.by_source["a home"].segments) == (segments, segments)


@pytest.mark.stack
async def test_over_the_budget_of_a_day_notices_wait_and_answers_go(notifier: Notifier, make_reply: MakeReply) -> None:
    notifier.parts.limits = replace(notifier.parts.limits, town_budget=DailyBudget(segments=3, letters=1, cents=1_000))
    notices = [
        make_reply(str(n), points=phone(f"+3363998000{n}"), conversation=str(n)).model_copy(
            update={"kind": "registration"}
        )
        for n in (1, 2)
    ]
    async with notifier.running():
        await notifier.take(*notices, make_reply("3", points=phone("+33639980003")))
        await notifier.until(lambda states: sorted(states) == ["accepted", "accepted", "planned"])
    assert len(notifier.at_twilio) == 2
    assert "used up" in notifier.parts.clients.health.notes["budget-sms"]
    assert notifier.parts.clients.health.is_ready


@pytest.mark.parametrize(
    ("address", "mailbox"),
    [
        ("anna+1@exemple.example", "anna@exemple.example"),
        ("anna+a+b@exemple.example", "anna@exemple.example"),
        ("+anna@exemple.example", "+anna@exemple.example"),
        ("anna@exemple.example", "anna@exemple.example"),
    ],
)
def test_a_plus_makes_no_new_mailbox(address: str, mailbox: str) -> None:
    assert mailbox_of(ContactPoint(kind="email", value=address)).value == mailbox


def test_a_telephone_number_keeps_its_plus() -> None:
    assert mailbox_of(phone("+33639980001")[0]).value == "+33639980001"


@pytest.mark.stack
async def test_the_addresses_of_one_mailbox_have_the_limit_of_one(notifier: Notifier, make_reply: MakeReply) -> None:
    notifier.parts.limits = replace(notifier.parts.limits, automatic_per_day=2)
    addresses = ["anna+1@exemple.example", "anna@exemple.example", "anna+2@exemple.example", "bruno+1@exemple.example"]
    points = [(ContactPoint(kind="email", value=address),) for address in addresses]
    async with notifier.running():
        for n, point in enumerate(points):
            await notifier.take(notice(make_reply, n, source="a home", points=point))
            await notifier.until(lambda states, n=n: len(states) == n + 1 and "planned" not in states[: n + 1])
        await notifier.until(lambda states: sorted(states) == ["accepted", "accepted", "accepted", "failed"])
    rows = await notifier.rows()
    assert [(row.state, row.failure_class) for row in rows][2:] == [("failed", "budget"), ("accepted", None)]
    assert len({row.address_hash for row in rows}) == 4  # a person stays who they are
