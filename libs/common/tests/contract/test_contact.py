"""Facts about contact ids, references and contact points."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parvis.common.contract.contact import ContactId, kafka_key, make_contact_id
from parvis.common.contract.errors import Rejected
from parvis.common.contract.normalize_contact_points import (
    email_contact_point,
    hash_contact_point,
    phone_contact_point,
    postal_contact_point,
)
from parvis.common.contract.references import find_references, make_reference
from parvis.common.contract.text_limit import TEXT_LIMIT_BYTES, exceeds_text_limit, truncate_text
from parvis.common.testing import A_KEY, a_contact

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def test_the_same_message_has_the_same_id():
    assert make_contact_id("sms", "+33536490100", "SM1") == make_contact_id("sms", "+33536490100", "SM1")
    assert make_contact_id("sms", "+33536490100", "SM1") != make_contact_id("sms", "+33536490101", "SM1")


@given(st.text(), st.text(), st.text())
def test_an_id_is_made_of_any_text(channel: str, account: str, key: str):
    assert len(make_contact_id(channel, account, key)) == 36


@given(st.uuids())
def test_a_reference_is_found_however_it_is_typed(contact: object):
    reference = make_reference(ContactId(str(contact)))

    assert find_references(f"Bonjour, c'est pour {reference}, merci") == [reference]
    assert find_references(reference.lower().replace("-", " ").replace("0", "o").replace("1", "l")) == [reference]


@given(st.uuids(), st.integers(0, 11), st.sampled_from(ALPHABET))
def test_one_wrong_character_is_no_reference(contact: object, place: int, other: str):
    reference = make_reference(ContactId(str(contact)))
    symbols = list(reference.replace("-", "")[1:])
    if symbols[place] == other:
        return
    symbols[place] = other
    typed = "".join(symbols)

    assert find_references(f"P-{typed[:4]}-{typed[4:8]}-{typed[8:]}") == []


@given(st.uuids(), st.integers(0, 10))
def test_two_swapped_characters_are_no_reference(contact: object, place: int):
    reference = make_reference(ContactId(str(contact)))
    symbols = list(reference.replace("-", "")[1:])
    if symbols[place] == symbols[place + 1]:
        return
    symbols[place], symbols[place + 1] = symbols[place + 1], symbols[place]
    typed = "".join(symbols)

    assert find_references(f"P-{typed[:4]}-{typed[4:8]}-{typed[8:]}") == []


@pytest.mark.parametrize("typed", ["06 39 98 00 12", "+33 6 39 98 00 12", "0033639980012"])
def test_a_number_has_one_form(typed: str):
    assert phone_contact_point(typed).value == "+33639980012"


@pytest.mark.parametrize("typed", ["", "bonjour", "12", "+", "0" * 400])
def test_what_is_no_number_is_rejected(typed: str):
    with pytest.raises(Rejected):
        phone_contact_point(typed)


def test_a_mail_address_is_lower_cased():
    assert email_contact_point(" Une.Personne@Example.ORG ").value == "une.personne@example.org"


@pytest.mark.parametrize(
    "typed", ["", "a", "@b", "a@", "a b@c", "a\n@b", "a@b\nBcc: c@d", "a,b@c", "x" * 250 + "@example.org"]
)
def test_what_is_no_mail_address_is_rejected(typed: str):
    with pytest.raises(Rejected):
        email_contact_point(typed)


def test_a_postal_address_loses_empty_lines_and_spaces():
    assert (
        postal_contact_point("  1 rue   de l'Exemple \n\n 00100  Val-Exemple ").value
        == "1 rue de l'Exemple\n00100 Val-Exemple"
    )
    with pytest.raises(Rejected):
        postal_contact_point("une seule ligne")


def test_a_plan_that_grew_is_no_reason_to_lose_a_number() -> None:
    assert phone_contact_point("+22985751234").value == "+22985751234"  # Benin's eight digits, ten since 2024
    for short in ("+33 6 39 98 00", "+1 555 12"):
        with pytest.raises(Rejected):
            phone_contact_point(short)


def test_the_pseudonym_needs_the_key():
    point = phone_contact_point("06 39 98 00 12")

    assert hash_contact_point(point, A_KEY) != hash_contact_point(point, A_KEY + b".")
    assert "639980012" not in hash_contact_point(point, A_KEY)


def test_an_anonymous_contact_is_keyed_by_its_own_id():
    anonymous = a_contact(contact_point_hash=None)

    assert kafka_key(anonymous) == anonymous.contact_id
    assert kafka_key(a_contact()) == a_contact().contact_point_hash


@given(st.text(max_size=200_000 // 4) | st.just("é" * 40_000) | st.just("\ud800\x00"))
def test_a_clipped_text_fits_and_can_be_stored(text: str):
    clipped = truncate_text(text)

    assert len(clipped.encode()) <= TEXT_LIMIT_BYTES
    assert "\x00" not in clipped
    assert exceeds_text_limit("a" * TEXT_LIMIT_BYTES) is False


def test_a_reader_ignores_members_it_does_not_know():
    contact = a_contact()
    newer = contact.model_dump_json(by_alias=True).replace('{"contact_id"', '{"colour":"blue","contact_id"')

    assert type(contact).model_validate_json(newer) == contact
