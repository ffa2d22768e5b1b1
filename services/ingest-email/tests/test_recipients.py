"""Tests which addresses belong to the town."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parvis.common.contract.mail_tokens import make_bounce_address
from parvis.common.contract.reply import ReplyId
from parvis.common.testing import A_KEY
from parvis.common.town.loading import load_town_config
from parvis.ingest_email.decide.recipients import TownMailboxes

TOWN_CONFIG = load_town_config(Path(__file__).parents[3] / "config" / "example-town")
MAILBOXES = TownMailboxes(TOWN_CONFIG, A_KEY)
TOWN = TOWN_CONFIG.town.mailbox
DOMAIN = TOWN_CONFIG.town.mail_domain
REPLY = ReplyId("9c6d1f0e-5a51-5c5e-8d1f-1f0e5a515c5e")


@pytest.mark.parametrize(
    ("address", "mailbox"),
    [
        (TOWN, TOWN),
        (TOWN.upper(), TOWN),
        (f"<{TOWN}>", TOWN),
        (f"voirie@{DOMAIN}", f"voirie@{DOMAIN}"),
        (f"voirie+lampes@{DOMAIN}", f"voirie@{DOMAIN}"),
        (f"postmaster@{DOMAIN}", TOWN),
        (f"abuse@{DOMAIN}", TOWN),
        ("postmaster", TOWN),
        (f"bounce+nonsense@{DOMAIN}", TOWN),
    ],
)
def test_our_addresses_have_a_mailbox(address: str, mailbox: str) -> None:
    found = MAILBOXES.find_recipient(address)
    assert found
    assert (found.mailbox, found.reply) == (mailbox, None)


@pytest.mark.parametrize(
    "address",
    [f"nobody@{DOMAIN}", "mairie@elsewhere.example", "bounce+x@elsewhere.example", "mairie", "", "@", "a@b@c"],
)
def test_other_addresses_have_none(address: str) -> None:
    assert MAILBOXES.find_recipient(address) is None


def test_a_bounce_address_names_its_reply() -> None:
    found = MAILBOXES.find_recipient(make_bounce_address(REPLY, DOMAIN, A_KEY).upper())
    assert found
    assert found.reply == REPLY


@given(st.text())
def test_no_address_is_too_strange(address: str) -> None:
    MAILBOXES.find_recipient(address)
