"""Facts about thread tokens and bounce addresses."""

from hypothesis import given
from hypothesis import strategies as st

from parvis.common.contract.contact import ConversationId
from parvis.common.contract.mail_tokens import (
    conversation_id_of_message_id,
    is_valid_token,
    make_bounce_address,
    make_message_id,
    reply_id_of_bounce_address,
)
from parvis.common.contract.reply import make_reply_id
from parvis.common.testing import A_KEY

REPLY = make_reply_id("a contact", "registration")
CONVERSATION = ConversationId("11111111-2222-5333-8444-555555555555")
DOMAIN = "example-town.example"


def test_a_reply_asked_for_twice_is_one_reply():
    assert make_reply_id("a", "b") == make_reply_id("a", "b") != make_reply_id("ab", "")


def test_our_message_id_names_its_conversation():
    ours = make_message_id(REPLY, CONVERSATION, DOMAIN, A_KEY)

    assert conversation_id_of_message_id(ours, DOMAIN, A_KEY) == CONVERSATION
    assert conversation_id_of_message_id(ours.upper().replace(DOMAIN.upper(), DOMAIN), DOMAIN, A_KEY) is None


def test_a_message_id_of_somebody_else_names_nothing():
    ours = make_message_id(REPLY, CONVERSATION, DOMAIN, A_KEY)

    assert conversation_id_of_message_id(ours, DOMAIN, b"another key, of another town") is None
    assert conversation_id_of_message_id(ours.replace(DOMAIN, "elsewhere.example"), DOMAIN, A_KEY) is None
    assert conversation_id_of_message_id(ours.replace("1111", "2222", 1), DOMAIN, A_KEY) is None


def test_a_bounce_names_its_reply_even_when_a_server_folded_its_case():
    address = make_bounce_address(REPLY, DOMAIN, A_KEY)

    assert len(address.partition("@")[0]) <= 64  # RFC 5321, 4.5.3.1.1
    assert reply_id_of_bounce_address(address, A_KEY) == REPLY
    assert reply_id_of_bounce_address(address.upper(), A_KEY) == REPLY
    assert reply_id_of_bounce_address(address, b"another key") is None


@given(st.text())
def test_any_text_can_be_looked_at(text: str):
    assert conversation_id_of_message_id(text, DOMAIN, A_KEY) is None
    assert reply_id_of_bounce_address(text, A_KEY) is None
    assert is_valid_token("subject", "purpose", text, A_KEY) is False
