"""Tests by what a caller is found, in every spelling that an agent may type."""

import pytest

from parvis.common.contract.contact import ContactPoint
from parvis.common.testing import a_contact
from parvis.desk.decide.caller_terms import make_caller_terms, read_caller

NUMBER = "+33639980001"


@pytest.mark.parametrize(
    "typed", ["06 39 98 00 01", "0639980001", "+33 6 39 98 00 01", "0033639980001", "06.39.98.00.01"]
)
def test_a_whole_number_is_one_person_in_any_spelling(typed: str) -> None:
    found = read_caller(typed)

    assert (found.phone, found.query) == (NUMBER, "'p:33639980001'")
    assert found.is_identified


def test_a_number_that_is_being_typed_is_found_by_its_beginning_or_its_end() -> None:
    assert read_caller("06 39 98").query == "'p:3363998':* | 'q:899360':* | 'r:063998':*"
    assert "'q:1000':*" in read_caller("0001").query
    assert read_caller("063").query == ""


def test_a_reference_is_found_whole_in_part_and_in_the_address_of_a_code() -> None:
    assert read_caller("p-cz10-dq48-cnfg").reference == "P-CZ10-DQ48-CNFG"
    assert read_caller("https://www.town.example/#P-CZ10-DQ48-CNFG").reference == "P-CZ10-DQ48-CNFG"
    assert read_caller("P-CZ10").query == "('n:cz10':*) | 'r:CZ10':*"


def test_a_name_is_found_by_the_beginnings_of_its_words_without_accents() -> None:
    found = read_caller("  Élodie   D'Exe")

    assert found.query == "('n:elodie':* & 'n:exe':*)"
    assert (found.name, found.is_identified) == ("Élodie D'Exe", False)


@pytest.mark.parametrize("typed", ["", " ", "é", "\x00", "()", "'", "''' | 'a':*", "P-", "@", "\\", "!" * 5000])
def test_what_can_be_nobodys_is_no_error(typed: str) -> None:
    assert read_caller(typed).typed == " ".join(typed.replace("\x00", " ").split())[:200]


@pytest.mark.parametrize(("level", "is_found"), [("staff", True), ("none", False)])
def test_who_quotes_a_reference_is_found_by_it_only_if_staff_wrote_it_down(level: str, is_found: bool) -> None:
    contact = a_contact()
    quoted = contact.thread.model_copy(update={"reference": "P-CZ10-DQ48-CNFG"})
    sender = contact.sender.model_copy(update={"level": level})

    terms = make_caller_terms(contact.model_copy(update={"thread": quoted, "sender": sender}))

    assert ("r:CZ10DQ48CNFG" in terms) == is_found


def test_a_contact_is_found_by_its_name_number_and_reference() -> None:
    contact = a_contact()
    personal = contact.personal.model_copy(
        update={"display_name": "Élodie d’Exemple", "from_": ContactPoint(kind="phone", value=NUMBER)}
    )

    terms = make_caller_terms(contact.model_copy(update={"personal": personal}))

    assert {"n:elodie", "n:exemple", "p:33639980001", "q:10008993633"} <= set(terms)
    assert f"r:{contact.reference[2:].replace('-', '')}" in terms
