"""Facts about the QR code on our letters, genuine and forged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parvis.common.contract.contact import ConversationId
from parvis.common.contract.letter_qr import (
    LetterQrContent,
    conversation_id_of_letter_qr,
    decode_letter_qr,
    encode_letter_qr,
)
from parvis.common.contract.reply import ReplyId

KEY = b"a key for the tests, long enough"
CONVERSATION = ConversationId("5f3f7a0e-5a0c-5c3e-9a53-2f0d9c1b7e11")
REPLY = ReplyId("0b8e1c5a-13d4-5f6a-8f10-6d2f6a7b9c01")
CODE = encode_letter_qr("P-7F3K-2Q9X-M4TC", CONVERSATION, REPLY, "www.example-town.example", KEY)


def test_our_code_names_its_conversation_and_its_reply_and_opens_the_towns_page():
    assert conversation_id_of_letter_qr(CODE, KEY) == CONVERSATION
    assert decode_letter_qr(CODE, KEY) == LetterQrContent(CONVERSATION, REPLY)
    assert CODE.startswith("https://www.example-town.example/#P-7F3K-2Q9X-M4TC/")
    assert len(CODE) <= 122  # what a QR code of 45 squares a side holds at level M


def test_a_town_that_changed_its_name_on_the_web_still_knows_its_letters():
    assert conversation_id_of_letter_qr(CODE.replace("www.example-town.example", "old.example"), KEY) == CONVERSATION


@pytest.mark.parametrize(
    "code",
    [
        CODE.replace("TC/X", "TC/Y"),
        CODE[:-1] + ("a" if CODE[-1] != "a" else "b"),
        CODE.partition(".")[0],
        "P-7F3K-2Q9X-M4TC",
        "https://elsewhere.example/",
        "",
    ],
)
def test_a_forged_or_foreign_code_is_nobodys(code: str):
    assert conversation_id_of_letter_qr(code, KEY) is None


def test_another_towns_letter_is_not_ours():
    assert conversation_id_of_letter_qr(CODE, b"another town's key, as long as it") is None


@given(st.text(max_size=400))
def test_no_code_raises(text: str):
    assert conversation_id_of_letter_qr(text, KEY) is None
