"""Facts about telephone numbers: plain E.164 is parsed without the library, with the same result."""

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parvis.common.contract.errors import Rejected
from parvis.common.text.telephone import parse_e164


def by_the_library(text: str) -> str | None:
    try:
        number = phonenumbers.parse(text, "FR")
    except phonenumbers.NumberParseException:
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@given(st.from_regex(r"\+[1-9][0-9]{7,14}", fullmatch=True))
def test_what_is_taken_as_it_is_is_what_the_library_makes_of_it(text: str) -> None:
    try:
        parsed = parse_e164(text, "FR")
    except Rejected:
        return
    assert parsed == by_the_library(text)


@pytest.mark.parametrize(
    "text", ["+330639980012", "+33 (0)6 39 98 00 12", "06 39 98 00 12", "0033639980012", "+33639980012"]
)
def test_one_number_in_many_hands(text: str) -> None:
    assert parse_e164(text, "FR") == "+33639980012"


def test_italian_zeros_stay() -> None:
    assert parse_e164("+390236618300", "FR") == "+390236618300"
