"""Facts about the sentence of a message in which an unconfirmed wish stands."""

import pytest

from parvis.common.contract.contact import ContactPersonalData, ReplyAddress
from parvis.common.contract.find_addressee import OTHER_REPLY_TO, UnconfirmedAddress
from parvis.common.testing import a_contact
from parvis.desk.decide.unconfirmed_address_quote import explain_wish

SMS = ReplyAddress(channel="sms", address="+33639980077")
MAIL = ReplyAddress(channel="email", address="ines.autre@people.example")


@pytest.mark.parametrize(
    ("text", "to", "sentence"),
    [
        ("Bonjour. Merci de me répondre par SMS au 06 39 98 00 77. À bientôt.", SMS, "Merci de me répondre par SMS au 06 39 98 00 77."),
        ("Répondez par SMS. Mon fils a le 06 39 98 00 11.", SMS, "Répondez par SMS."),
        ("Please write to me\nat ines.autre@people.example\n\nInès", MAIL, "Please write to me at ines.autre@people.example"),
        ("Bonjour.", SMS, ""),
        ("", MAIL, ""),
    ],
)  # fmt: skip
def test_the_sentence_of_a_wish(text: str, to: ReplyAddress, sentence: str) -> None:
    contact = a_contact(personal=ContactPersonalData(text=text))
    explained = explain_wish(UnconfirmedAddress(contact.contact_id, to), contact)
    assert (explained.to, explained.sentence, explained.is_reply_to) == (to, sentence, False)


def test_what_no_sentence_says_stands_in_reply_to() -> None:
    contact = a_contact(personal=ContactPersonalData(text="Bonjour."), remarks=(OTHER_REPLY_TO,))
    assert explain_wish(UnconfirmedAddress(contact.contact_id, MAIL), contact).is_reply_to


def test_a_sentence_without_an_end_is_cut() -> None:
    contact = a_contact(personal=ContactPersonalData(text="répondez-moi par SMS au 06 39 98 00 77 " + "et " * 9000))
    assert len(explain_wish(UnconfirmedAddress(contact.contact_id, SMS), contact).sentence) == 601
