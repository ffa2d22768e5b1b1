"""Facts about Twilio's error codes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parvis.twilio.error_codes import ERROR_CODES, failure_class_of, find_error_code

# What Twilio's dictionary says of the recipient's number itself, whoever sends.
WRONG_NUMBER = {21211, 21614, 21635, 30005, 30006}


def test_only_a_wrong_number_is_permanent() -> None:
    assert {code for code, error in ERROR_CODES.items() if error.failure_class == "permanent"} == WRONG_NUMBER


@pytest.mark.parametrize("code", [21612, 21214, 63003, 63024])
def test_an_unreachable_route_or_channel_does_not_mark_the_number_as_wrong(code: int) -> None:
    assert failure_class_of(code) == "unreachable"


def test_text_and_number_are_the_same_code() -> None:
    assert all(find_error_code(str(code)) is error for code, error in ERROR_CODES.items())


@given(st.text() | st.none() | st.integers())
def test_anything_else_is_temporary(code: str | int | None) -> None:
    assert find_error_code(code) is not None or failure_class_of(code) == "temporary"
