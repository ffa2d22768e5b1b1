"""How a text travels as a text message."""

from hypothesis import given
from hypothesis import strategies as st

from parvis.common.text.sms_encoding import count_segments, transliterate_to_gsm7


def test_a_name_may_lose_an_accent_that_would_double_the_price() -> None:
    assert transliterate_to_gsm7("Français, fête, élève") == "Francais, fete, élève"
    assert count_segments("Français")[0] == "UCS-2"
    assert count_segments(transliterate_to_gsm7("Français"))[0] == "GSM-7"


@given(st.text(max_size=400))
def test_any_text_can_be_sent_in_the_cheap_alphabet(text: str) -> None:
    assert count_segments(transliterate_to_gsm7(text))[0] == "GSM-7"
