"""The words of a reply in, the text of an SMS out, as cheap to send as its language allows. Pure."""

from typing import Literal

from parvis.notifier.render.words import Words
from parvis.notifier.rules import TooLong

LONGEST = 1600  # characters: Twilio's limit for one message (error 21617)

# GSM 03.38, basic table and extension. A single character outside both makes the whole message UCS-2: 70 instead of
# 160 characters a segment.
_GSM_7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_7_EXTENSION = frozenset("^{}\\[~]|€\f")
# Typography only; a letter is never changed: « élève » must not become « eleve ».
_PLAINER = str.maketrans(
    {
        "’": "'", "‘": "'", "“": '"', "”": '"', "«": '"', "»": '"', "–": "-", "—": "-", "…": "...",
        "\u00a0": " ", "\u202f": " ", "\u2009": " ", "•": "-",
    }
)  # fmt: skip


def render_sms(words: Words, *_: object) -> bytes:
    """The text of an SMS.

    Raises: TooLong, over 1600 characters.
    """
    text = plainer(words.say("sms").text)
    if len(text) > LONGEST:
        raise TooLong(f"{len(text)} characters, an SMS takes {LONGEST}")
    return text.encode()


def plainer(text: str) -> str:
    """A text with the marks that every telephone has; French quotation marks lose the space inside them."""
    return (
        text.replace("« ", '"').replace(" »", '"').replace("«\u00a0", '"').replace("\u00a0»", '"').translate(_PLAINER)
    )


def segments(text: str) -> tuple[Literal["GSM-7", "UCS-2"], int]:
    """How a text travels, and in how many segments it is paid for."""
    if all(character in _GSM_7 or character in _GSM_7_EXTENSION for character in text):
        units = sum(2 if character in _GSM_7_EXTENSION else 1 for character in text)
        return "GSM-7", 1 if units <= 160 else -(-units // 153)
    units = len(text.encode("utf-16-be", "replace")) // 2
    return "UCS-2", 1 if units <= 70 else -(-units // 67)
