"""Tests the alphabet and the paid segments of text messages."""

from hypothesis import given
from hypothesis import strategies as st

from parvis.common.text.sms_encoding import count_segments, simplify_typography, transliterate_to_gsm7


def test_a_name_may_lose_an_accent_that_would_double_the_price() -> None:
    assert transliterate_to_gsm7("Français, fête, élève") == "Francais, fete, élève"
    assert count_segments("Français")[0] == "UCS-2"
    assert count_segments(transliterate_to_gsm7("Français"))[0] == "GSM-7"


@given(st.text(max_size=400))
def test_any_text_can_be_sent_in_the_cheap_alphabet(text: str) -> None:
    assert count_segments(transliterate_to_gsm7(text))[0] == "GSM-7"


def test_a_ligature_is_spelled_out() -> None:
    assert transliterate_to_gsm7("Sœurs Œuvre") == "Soeurs OEuvre"


def test_french_quotation_marks_lose_their_inner_space() -> None:
    assert simplify_typography("«\u202fOui\u202f», « non »") == '"Oui", "non"'
