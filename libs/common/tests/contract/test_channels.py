"""Facts about the table of channels, and about channels that it does not have."""

from datetime import timedelta

import pytest

from parvis.common.contract.channels import (
    ChannelProperties,
    ContactPointKind,
    channel,
    channel_for_contact_point,
    channels,
    is_known_channel,
    temporary_channel,
)
from parvis.common.contract.contact import ContactReceived, ReplyAddress
from parvis.common.contract.delivery import is_late_bounce
from parvis.common.contract.errors import Rejected
from parvis.common.contract.normalize_contact_points import parse_contact_point
from parvis.common.testing import a_contact
from parvis.common.town.templates import MEDIA

RCS = ChannelProperties(name="rcs", contact_point_kind="phone", reply_channel="rcs", is_sent=True)


def names(property_name: str) -> set[str]:
    return {row.name for row in channels() if getattr(row, property_name)}


def test_every_other_channel_that_a_row_names_is_in_the_table():
    for row in channels():
        for other in (row.reply_channel, row.window_shared_with, row.carried_by):
            assert other is None or is_known_channel(other)


def test_what_the_notifier_sends_has_an_address_a_template_and_a_media_type():
    for row in channels():
        if row.is_sent:
            assert row.contact_point_kind
            assert row.template_medium in MEDIA
            assert row.media_type


def test_every_channel_has_an_icon_and_a_name_in_french_and_english():
    for row in channels():
        assert row.icon
        assert {language for language, _ in row.labels} == {"fr", "en"}


def test_channels_with_each_property():
    assert names("is_sent") == {"sms", "email", "post", "inbox"}
    assert names("is_offered_to_citizens") == {"sms", "email", "post", "phone"}
    assert names("asks_which_conversation") == {"sms", "whatsapp"}
    assert names("has_thread_headers") == {"email"}
    assert names("is_interruptive") == {"sms", "whatsapp", "email"}
    assert names("is_resent_safely") == {"post"}
    assert names("carries_attachments") == {"email"}
    assert names("is_entered_by_agents") == {"phone", "counter"}
    assert names("is_scanned") == {"post"}


def test_whatsapp_continues_conversations_by_sms():
    assert channel("whatsapp").window_channel == channel("sms").window_channel == "sms"
    assert channel("whatsapp").conversation_window == channel("sms").conversation_window == timedelta(days=7)
    assert channel("email").window_channel == "email"


@pytest.mark.parametrize(("kind", "name"), [("phone", "sms"), ("email", "email"), ("post", "post")])
def test_an_address_has_a_channel_that_sends_to_it(kind: ContactPointKind, name: str):
    row = channel_for_contact_point(kind)
    assert row is not None
    assert row.name == name


@pytest.mark.parametrize(
    ("channel_name", "failure_class", "outweighs_delivered"),
    [
        ("post", None, True),
        ("post", "permanent", True),
        ("email", "permanent", True),
        ("email", "temporary", False),
        ("email", None, False),
        ("sms", "permanent", False),
        ("rcs", None, False),
    ],
)
def test_only_paper_and_mail_come_back_late(channel_name: str, failure_class: str | None, outweighs_delivered: bool):
    assert is_late_bounce(channel_name, failure_class) is outweighs_delivered


@pytest.mark.parametrize(
    ("kind", "text"), [("phone", "06 39 98 00 01"), ("email", "A@b.example"), ("post", "1 rue A\n00100 B")]
)
def test_an_address_is_parsed_by_its_kind(kind: ContactPointKind, text: str):
    assert parse_contact_point(kind, text).kind == kind
    with pytest.raises(Rejected):
        parse_contact_point(kind, "-")


def test_an_event_with_a_channel_of_a_newer_service_is_read():
    contact = a_contact(channel="rcs")
    personal = contact.personal.model_copy(
        update={"reply_channels": (ReplyAddress(channel="rcs", address="+33639980001"),)}
    )
    value = contact.model_copy(update={"personal": personal}).model_dump_json()

    read = ContactReceived.model_validate_json(value)

    assert read.personal.reply_channels[0].channel == "rcs"
    assert not is_known_channel("rcs")
    assert channel("rcs") == ChannelProperties(name="rcs", contact_point_kind=None, reply_channel=None)
    assert channel("rcs").label("fr") == "rcs"


def test_a_test_can_add_a_channel_for_a_while():
    with temporary_channel(RCS):
        assert channel("rcs") is RCS
        assert RCS in channels()
    assert not is_known_channel("rcs")


def test_a_replaced_channel_comes_back():
    sms = channel("sms")
    with temporary_channel(ChannelProperties(name="sms", contact_point_kind="phone", reply_channel=None)):
        assert channel("sms").reply_channel is None
    assert channel("sms") is sms
