"""How a text travels as a text message."""

from hypothesis import given
from hypothesis import strategies as st

from parvis.common.text.sms_encoding import in_gsm_7, segments


def test_a_name_may_lose_an_accent_that_would_double_the_price() -> None:
    assert in_gsm_7("Français, fête, élève") == "Francais, fete, élève"
    assert segments("Français")[0] == "UCS-2"
    assert segments(in_gsm_7("Français"))[0] == "GSM-7"


@given(st.text(max_size=400))
def test_any_text_can_be_sent_in_the_cheap_alphabet(text: str) -> None:
    assert segments(in_gsm_7(text))[0] == "GSM-7"
