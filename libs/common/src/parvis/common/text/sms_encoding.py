"""Determines the alphabet of an SMS and its number of paid segments, and simplifies typography. Pure; no I/O."""

from typing import Literal

from parvis.common.text.folding import strip_accents

MAX_SMS_CHARACTERS = 1600  # Twilio's limit for one message (error 21617)

# GSM 03.38, basic table and extension. A single character outside both makes the whole message UCS-2: 70 characters a segment
# instead of 160.
_GSM_7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_7_EXTENSION = frozenset("^{}\\[~]|€\f")
_GSM_7_ALL = _GSM_7 | _GSM_7_EXTENSION
# Typography only; a letter is never changed: « élève » must not become « eleve ».
_PLAIN_TYPOGRAPHY = str.maketrans(
    {
        "’": "'", "‘": "'", "“": '"', "”": '"', "«": '"', "»": '"', "–": "-", "—": "-", "…": "...",
        "\u00a0": " ", "\u202f": " ", "\u2009": " ", "•": "-",
    }
)  # fmt: skip


def simplify_typography(text: str) -> str:
    """The text with straight quotes, plain dashes and plain spaces; French quotation marks lose the space inside them."""
    for space in (" ", "\u00a0", "\u202f"):
        text = text.replace(f"«{space}", '"').replace(f"{space}»", '"')
    return text.translate(_PLAIN_TYPOGRAPHY)


def count_segments(text: str) -> tuple[Literal["GSM-7", "UCS-2"], int]:
    """The alphabet in which a text is sent, and the number of segments to pay for."""
    if all(character in _GSM_7_ALL for character in text):
        units = sum(2 if character in _GSM_7_EXTENSION else 1 for character in text)
        return "GSM-7", 1 if units <= 160 else -(-units // 153)
    units = len(text.encode("utf-16-be", "replace")) // 2
    return "UCS-2", 1 if units <= 70 else -(-units // 67)


def transliterate_to_gsm7(text: str) -> str:
    """The text in GSM-7: other letters lose their accent or become `?`. For names of ours that may be shortened, never for a person's words."""
    return "".join(
        character if character in _GSM_7_ALL else _base_letters(character) for character in simplify_typography(text)
    )


def _base_letters(character: str) -> str:
    return "".join(letter for letter in strip_accents(character) if letter in _GSM_7) or "?"
