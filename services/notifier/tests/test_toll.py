"""Facts about what strangers can make the town pay: the numbers that get SMS, and the budgets of a day."""

from dataclasses import replace

import pytest
from services.notifier.tests.parts import MakeReply, Notifier

from parvis.common.contract.contact import ContactPoint
from parvis.notifier.decide.channel_choice import ChannelChooser
from parvis.notifier.decide.send_budget import AutomaticCost
from parvis.notifier.models.limits import SendingLimits


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
    limits = SendingLimits(sms_cents=10, letter_cents=100, automatic_cents_per_day=200)
    assert AutomaticCost(10, 1).is_within(limits)
    assert not AutomaticCost(11, 1).is_within(limits)


@pytest.mark.stack
async def test_over_the_budget_of_a_day_notices_wait_and_answers_go(notifier: Notifier, make_reply: MakeReply) -> None:
    notifier.parts.limits = replace(notifier.parts.limits, automatic_sms_per_day=1)
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
