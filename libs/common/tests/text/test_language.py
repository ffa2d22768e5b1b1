"""Facts about language detection, and about texts that are too short or doubtful."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parvis.common.text.language import detect_language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Bonjour, quand passe le camion des encombrants dans ma rue ?", "fr"),
        ("Hello, when do you collect the bins in our street this week?", "en"),
        ("Buenos días, necesito una copia de mi partida de nacimiento", "es"),
        ("Guten Tag, ich brauche eine Kopie meiner Geburtsurkunde", "de"),
        ("人人有权享有生命、自由和人身安全。", "zh"),
        ("Le lampadaire est en panne", "fr"),
        ("أحتاج إلى نسخة من شهادة ميلادي من فضلكم", "ar"),
    ],
)
def test_a_sentence_has_its_language(text: str, language: str) -> None:
    assert detect_language(text) == language


@pytest.mark.parametrize(
    "text",
    [
        "",
        "OK merci",
        "06 39 98 00 12",
        "1234567890 1234567890 1234567890",
        "すべての人間は、生れながらにして自由である",
    ],
)
def test_a_few_letters_have_none(text: str) -> None:
    assert detect_language(text) is None


@given(st.text())
def test_no_text_is_too_strange(text: str) -> None:
    detect_language(text)
