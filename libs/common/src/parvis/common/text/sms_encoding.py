"""A text in, how it travels as a text message out: which alphabet, how many paid segments. Pure; no I/O."""

import unicodedata
from typing import Literal

MAX_SMS_CHARACTERS = 1600  # characters: Twilio's limit for one message (error 21617)

# GSM 03.38, basic table and extension. A single character outside both makes the whole message UCS-2: 70 instead of
# 160 characters a segment.
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
    """A text with the marks that every telephone has; French quotation marks lose the space inside them."""
    return (
        text.replace("« ", '"')
        .replace(" »", '"')
        .replace("«\u00a0", '"')
        .replace("\u00a0»", '"')
        .translate(_PLAIN_TYPOGRAPHY)
    )


def count_segments(text: str) -> tuple[Literal["GSM-7", "UCS-2"], int]:
    """How a text travels, and in how many segments it is paid for."""
    if all(character in _GSM_7_ALL for character in text):
        units = sum(2 if character in _GSM_7_EXTENSION else 1 for character in text)
        return "GSM-7", 1 if units <= 160 else -(-units // 153)
    units = len(text.encode("utf-16-be", "replace")) // 2
    return "UCS-2", 1 if units <= 70 else -(-units // 67)


def transliterate_to_gsm7(text: str) -> str:
    """A text without the letters that a cheap message has not: for names that may be shortened, never for a person's words."""
    return "".join(
        character if character in _GSM_7_ALL else _base_letter(character) for character in simplify_typography(text)
    )


def _base_letter(character: str) -> str:
    decomposed = unicodedata.normalize("NFKD", character)
    return "".join(letter for letter in decomposed if letter in _GSM_7) or "?"
