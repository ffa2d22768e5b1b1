"""Finds the reply channels that a letter asks for. Pure; no I/O."""

import re
from collections.abc import Callable, Iterator

from parvis.common.contract.contact import ContactPoint, ReplyAddress, ReplyChannel
from parvis.common.contract.contact_points import email_contact_point, phone_contact_point
from parvis.common.contract.errors import Rejected
from parvis.ingest_postal.models.page import Word
from parvis.ingest_postal.models.scan import ScanReading

_SURE = 0.85  # of each word that carries the number: a misread digit is somebody else's telephone
_NUMBER = r"(?P<address>\+?\d(?:[ .-]?\d){8,12})(?!\d)"
_MAIL = r"(?P<address>[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4})"
_ANSWER = r"\b(?:répond\w*|repond\w*|réponse|contact\w*|recontact\w*|joindre|prévenir|prévenez|avert\w*|inform\w*|reply|answer|reach)\b"
_NOT = re.compile(r"\b(?:ne|pas|plus|jamais|not|never|sans)\b|\bn['’]", re.IGNORECASE)

# « répondez-moi par SMS au 06 … »: the wish, the channel and its address in one sentence; nothing less is a wish.
_PATTERNS: tuple[tuple[ReplyChannel, re.Pattern[str], Callable[[str], ContactPoint]], ...] = (
    ("sms", re.compile(_ANSWER + r"[^.!?;]{0,60}\b(?:SMS|texto|text message)\b[^.!?;\d]{0,40}" + _NUMBER, re.IGNORECASE), phone_contact_point),
    ("phone", re.compile(r"\b(?:appele[zr]|rappele[zr]|téléphone[zr]|call me|phone me)\b[^.!?;\d]{0,40}" + _NUMBER, re.IGNORECASE), phone_contact_point),
    ("phone", re.compile(_ANSWER + r"[^.!?;]{0,60}\b(?:par téléphone|by phone)\b[^.!?;\d]{0,40}" + _NUMBER, re.IGNORECASE), phone_contact_point),
    ("email", re.compile(_ANSWER + r"[^.!?;]{0,60}\b(?:courriel|e-?mail|mail|mél)\b[^!?;@]{0,40}?(?<![\w.+-])" + _MAIL, re.IGNORECASE), email_contact_point),
)  # fmt: skip


def find_reply_channels(reading: ScanReading) -> tuple[ReplyAddress, ...]:
    """The reply channels that the citizen asks for in so many words, in the letter's order."""
    words = [word for page in reading.pages for word in page.words]
    text = " ".join(word.text for word in words)[:20_000]
    found = sorted(_found(text, words), key=lambda wish: wish[0])
    return tuple(dict.fromkeys(wish for _, wish in found))


def _found(text: str, words: list[Word]) -> Iterator[tuple[int, ReplyAddress]]:
    for channel, pattern, normalise in _PATTERNS:
        for match in pattern.finditer(text):
            before = text[max(0, match.start() - 25) : match.start("address")]
            if _NOT.search(before.rpartition(". ")[2]) or not _is_sure(words, match.span("address")):
                continue
            try:
                yield match.start(), ReplyAddress(channel=channel, address=normalise(match["address"]).value)
            except Rejected:
                continue


def _is_sure(words: list[Word], span: tuple[int, int]) -> bool:
    """Whether every word that the span touches was read well; words are one space apart."""
    place = 0
    for word in words:
        end = place + len(word.text)
        if end > span[0] and place < span[1] and word.confidence < _SURE:
            return False
        place = end + 1
    return True
