"""Facts about preferences: which one is in force, which ones the notifier derives, and what an operator is shown."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from services.notifier.tests.parts import MakeReply, Notifier
from sqlalchemy import select

from parvis.common.cli import parser
from parvis.common.contract.contact import ContactPoint
from parvis.common.contract.delivery import DeliveryReported
from parvis.common.contract.preference import (
    COMPLAINT,
    PROVIDER_STOP,
    REACHED,
    SMS_HELP,
    SMS_START,
    SMS_STOP,
    UNDELIVERABLE,
    PreferenceChanged,
    PreferencePersonalData,
    QuietHours,
)
from parvis.common.contract.reply import ReplyRequested
from parvis.common.runtime.clock import now
from parvis.common.testing import A_KEY, AN_INSTANT
from parvis.notifier import schema
from parvis.notifier.decide.channel_choice import ChannelChooser
from parvis.notifier.decide.preferences import effective_preference

MOBILE = ContactPoint(kind="phone", value="+33639980001")
MAIL = ContactPoint(kind="email", value="celeste@citizens.example")
HOME = ContactPoint(kind="post", value="Mme Céleste EXEMPLE\n12 rue de la Fontaine\n99999 VILLE-EXEMPLE")
DEAD = ContactPoint(kind="phone", value="+33639989905")  # accepted, then undelivered with 30005
LEFT = ContactPoint(kind="phone", value="+33639989910")  # 21610


def preference_change(source: str, point: ContactPoint = MOBILE, **changes: Any) -> PreferenceChanged:
    values: dict[str, Any] = {
        "contact_point_hash": "hash",
        "source": source,
        "changed_at": AN_INSTANT,
        "personal": PreferencePersonalData(contact_point=point),
    }
    return PreferenceChanged(**(values | changes))


STOP = preference_change(SMS_STOP, opt_outs=("sms", "whatsapp"))


@pytest.mark.parametrize(
    ("words", "opt_outs", "is_dead"),
    [
        ((), set(), False),
        ((STOP,), {"sms", "whatsapp"}, False),
        ((STOP, preference_change(SMS_HELP)), {"sms", "whatsapp"}, False),
        ((STOP, preference_change(SMS_START)), set(), False),
        ((STOP, preference_change(UNDELIVERABLE)), {"sms", "whatsapp"}, True),
        ((preference_change(UNDELIVERABLE), STOP), {"sms", "whatsapp"}, False),  # it came from there
        ((preference_change(UNDELIVERABLE), preference_change(REACHED)), set(), False),
        ((preference_change(PROVIDER_STOP, opt_outs=("sms",)), preference_change(SMS_START)), set(), False),
        ((STOP, preference_change("web", opt_outs=())), set(), False),
    ],
)
def test_the_newest_change_of_each_field_counts(
    words: tuple[PreferenceChanged, ...], opt_outs: set[str], is_dead: bool
) -> None:
    effective = effective_preference(words)
    assert (set(effective.opt_outs), effective.is_dead) == (opt_outs, is_dead)


@pytest.mark.parametrize(
    ("history", "is_unreadable"),
    [
        ((None,), True),
        ((STOP, None), True),
        ((None, STOP), False),
        ((None, preference_change(SMS_START)), False),
        ((None, preference_change(SMS_HELP)), True),  # states no opt-outs
        ((None, preference_change(REACHED)), True),
        ((STOP, None, preference_change("web", opt_outs=())), False),
    ],
)
def test_a_change_that_cannot_be_read_counts_until_the_opt_outs_are_stated_again(
    history: tuple[PreferenceChanged | None, ...], is_unreadable: bool
) -> None:
    assert effective_preference(history).is_unreadable is is_unreadable


def test_a_later_change_keeps_the_fields_that_it_does_not_set() -> None:
    web = preference_change("web", language="en", quiet_hours=QuietHours(start="20:00", end="08:00"), large_print=True)
    effective = effective_preference([web, STOP])
    assert (effective.language, effective.large_print, effective.quiet_hours) == ("en", True, web.quiet_hours)


@given(st.lists(st.sampled_from([SMS_STOP, SMS_START, SMS_HELP, UNDELIVERABLE, REACHED, COMPLAINT]), max_size=8))
def test_start_holds_until_a_later_opt_out(sources: list[str]) -> None:
    closing = {SMS_STOP: ("sms",), COMPLAINT: ("sms",)}
    words = [preference_change(source, opt_outs=closing.get(source, ())) for source in sources]
    speaks = [source for source in sources if source in {SMS_STOP, SMS_START, COMPLAINT}]
    assert effective_preference(words).opt_outs == (frozenset(closing.get(speaks[-1], ())) if speaks else frozenset())


@pytest.mark.stack
async def test_a_dead_number_is_given_up_with_its_proof_and_the_reply_goes_on_by_letter(
    notifier: Notifier, make_reply: MakeReply
) -> None:
    first, second = make_reply("1", points=(DEAD, HOME)), make_reply("2", points=(DEAD, HOME), conversation="another")
    async with notifier.running():
        await notifier.take(first)
        await notifier.until(lambda states: states == ["accepted"])
        await notifier.take(undelivered(first, "permanent", "30005"))
        await notifier.until(lambda states: states == ["undelivered", "accepted"])
        await notifier.take(second)
        await notifier.until(lambda states: len(states) == 3 and states[2] == "accepted")
    rows = await notifier.rows()
    assert [(row.channel, row.step, row.moves_to) for row in rows] == [
        ("sms", 1, "post"),
        ("post", 2, None),
        ("post", 1, None),
    ]
    assert rows[1].why.startswith("sms: permanent 30005")
    assert rows[2].why == "nothing arrives at the address before it"
    (learnt,) = notifier.published_preferences
    assert (learnt.source, learnt.opt_outs) == (UNDELIVERABLE, ())
    assert learnt.evidence
    assert rows[0].delivery_id in learnt.detail
    assert len(notifier.at_twilio) == 1


def undelivered(reply: ReplyRequested, failure_class: str | None, detail: str, **changes: Any) -> DeliveryReported:
    values: dict[str, Any] = {
        "reply_id": reply.reply_id, "channel": "sms", "provider": "twilio", "provider_id": "SM1", "outcome": "undelivered",
        "failure_class": failure_class, "detail": detail, "reported_at": now(),
    }  # fmt: skip
    return DeliveryReported(**(values | changes))


@pytest.mark.stack
async def test_a_contact_from_a_dead_number_revives_it(
    notifier: Notifier, make_reply: MakeReply, addressing: ChannelChooser
) -> None:
    mark = preference_change(UNDELIVERABLE, contact_point_hash=addressing.hash_of(MOBILE))
    await notifier.take(mark)
    await notifier.take(make_reply("answer"))  # about an old contact: proves nothing
    await notifier.take(make_reply("r", kind="registration", conversation="new", requested_at=now()))
    rows = await notifier.rows()
    assert [(row.kind, row.channel) for row in rows] == [("answer", "phone"), ("registration", "sms")]


@pytest.mark.stack
async def test_the_providers_own_list_of_stops_becomes_a_preference(notifier: Notifier, make_reply: MakeReply) -> None:
    async with notifier.running():
        await notifier.take(make_reply(points=(LEFT, MAIL)))
        await notifier.until(lambda states: states == ["failed", "accepted"])
    (learnt,) = notifier.published_preferences
    assert (learnt.source, learnt.opt_outs) == (PROVIDER_STOP, ("sms", "whatsapp"))


@pytest.mark.stack
async def test_a_complaint_after_delivered_closes_mail_and_nothing_else(
    notifier: Notifier, make_reply: MakeReply
) -> None:
    reply = make_reply(channel="email", points=(MAIL, HOME))
    delivered = undelivered(reply, None, "", channel="email", provider="smtp", outcome="delivered")
    complaint = undelivered(
        reply, "opted-out", "complaint abuse", channel="email", provider="smtp", outcome="delivered"
    )
    async with notifier.running():
        await notifier.take(reply)
        await notifier.until(lambda states: states == ["accepted"])
        await notifier.take(delivered)
        await notifier.take(complaint, complaint)
        await notifier.take(make_reply("next", channel="email", points=(MAIL, HOME), conversation="next"))
        await notifier.until(lambda states: states == ["delivered", "accepted"])
    assert [row.channel for row in await notifier.rows()] == ["email", "post"]
    async with notifier.database.transaction() as connection:
        rows = (await connection.execute(select(schema.preference.c.event))).scalars().all()
    assert [(row["source"], row["opt_outs"]) for row in rows] == [(COMPLAINT, ["email"])]


@pytest.mark.stack
async def test_a_reply_has_the_citizens_language_and_type_size(
    notifier: Notifier, make_reply: MakeReply, addressing: ChannelChooser
) -> None:
    preference = preference_change(
        "web", contact_point_hash=addressing.hash_of(MOBILE), language="en", large_print=True
    )
    await notifier.take(preference)
    await notifier.take(
        make_reply("1", kind="registration"),
        make_reply("2", kind="registration", points=(MOBILE, HOME), channel="post"),
    )
    due = await notifier.send_loop().reserve(10)
    assert {item.reply.language for item in due} == {"en"}
    assert all(item.delivery.large_print for item in due)


@pytest.mark.stack
async def test_quiet_hours_hold_information_and_legal_notices_within_their_deadline(
    notifier: Notifier, make_reply: MakeReply, addressing: ChannelChooser
) -> None:
    always = QuietHours(start="00:00", end="23:59")
    await notifier.take(preference_change("web", contact_point_hash=addressing.hash_of(MOBILE), quiet_hours=always))
    soon = now() + timedelta(seconds=30)
    await notifier.take(
        make_reply("information", legal=False, conversation="1", send_at=now()),
        make_reply("due tomorrow", kind="receipt", conversation="2", send_at=now()),
        make_reply("due now", kind="receipt", conversation="3", send_at=now(), send_by=soon),
        make_reply("letter", conversation="4", channel="post", points=(HOME,), send_at=now()),
    )
    due = [item for _ in range(3) for item in await notifier.send_loop().reserve(10)]  # one at a time to each address
    assert sorted(item.delivery.kind + item.delivery.channel for item in due) == ["answerpost", "receiptsms"]


@pytest.mark.stack
async def test_an_operator_is_told_what_is_known_about_an_address_and_when_nothing_is(
    notifier: Notifier,
    addressing: ChannelChooser,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    values = {
        "DATABASE_URL": database_url,
        "SECRET_KEY": "a secret for tests only",
        "CONTACT_POINT_KEY": A_KEY.decode(),
    }
    for name, value in values.items():
        monkeypatch.setenv(f"PARVIS_{name}", value)
    stop = preference_change(SMS_STOP, contact_point_hash=addressing.hash_of(MOBILE), opt_outs=("sms",))
    await notifier.take(stop)

    for typed, said in (("06 39 98 00 01", "opted out of sms"), ("06 39 98 00 02", "nothing known")):
        given = parser().parse_args(["notifier", "preferences", "phone", typed])
        assert await asyncio.to_thread(given.run, given) == 0
        assert said in capsys.readouterr().out
