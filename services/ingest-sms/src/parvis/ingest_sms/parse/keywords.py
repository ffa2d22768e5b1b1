"""Finds the opt-out keyword (STOP, START, HELP) that a message consists of, and the preference it changes. Pure; no I/O."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from parvis.common.contract.contact import ClaimCheck, ContactPoint, Language
from parvis.common.contract.normalize_contact_points import hash_contact_point
from parvis.common.contract.preference import SMS_HELP, SMS_START, SMS_STOP, PreferenceChanged, PreferencePersonalData
from parvis.ingest_sms.codes.opt_out_keywords import (
    ALSO_ANSWERS,
    COURTESIES,
    DEFAULT_LANGUAGES,
    DEVICE_LINES,
    KEYWORDS,
    OPT_OUT_TYPES,
    KeywordAction,
)
from parvis.ingest_sms.parse.webhook_form import InboundMessage

_MAX_WORDS, _MAX_CHARACTERS = 8, 64  # a longer message is never a keyword
_SHORT_NUMBER = re.compile(r"[3-8][0-9]{4}")  # the carriers' numbers of five digits
_DIGIT_GAP = re.compile(r"(?<=[0-9]) (?=[0-9])")  # « STOP au 36 180 »
_INDIVISIBLE_LETTERS = str.maketrans({"ı": "i", "ł": "l", "đ": "d", "ـ": ""})  # NFKD does not decompose these
_SOURCES = {"stop": SMS_STOP, "start": SMS_START, "help": SMS_HELP}


@dataclass(frozen=True)
class KeywordMatch:
    """The opt-out keyword of a message.

    Shape: is_answered_by_twilio: Advanced Opt-Out has sent its own reply; is_contact: an agent reads the message too.
    """

    action: KeywordAction
    language: Language | None = None
    is_answered_by_twilio: bool = False
    is_contact: bool = False


def normalize(text: str) -> str:
    """Normalize a text for comparison: without accents, case, punctuation and emoji; one space between words.

    An apostrophe separates words, so that « s'il vous plaît » equals « s il vous plait ».
    """
    decomposed = unicodedata.normalize("NFKD", text.casefold().translate(_INDIVISIBLE_LETTERS))
    letters = (c if c.isalnum() else "" if unicodedata.combining(c) else " " for c in decomposed)
    return " ".join("".join(letters).split())


_KEYWORDS: dict[str, dict[str, KeywordMatch]] = {}  # by language
for _action, _languages in KEYWORDS.items():
    for _language, _words in _languages.items():
        for _word in _words:
            _KEYWORDS.setdefault(_language, {}).setdefault(
                normalize(_word), KeywordMatch(_action, _language or None, is_contact=_word in ALSO_ANSWERS)
            )
_COURTESY_WORDS = frozenset(word for courtesy in COURTESIES for word in normalize(courtesy).split())


def find_keyword(message: InboundMessage, languages: Sequence[str] = DEFAULT_LANGUAGES) -> KeywordMatch | None:
    """Find the keyword that makes up the whole message: « STOP », « Arrêt !! », « stop sms svp », “STOP STOP”.

    Shape:  languages, those whose keywords count beside Twilio's and the carriers'. A telephone's own line below the word, and a
            short number after STOP (« STOP au 36180 »), are no words of the sender's.
    Gives:  None for “stop the noise in my street”, for a message with media, and in doubt: an agent then reads the message.
            A keyword that Twilio recognised (OptOutType) counts; the message is a contact too unless we find the same keyword.
    """
    if message.media or message.media_missing:
        return None
    ours = _match_keyword(_without_device_lines(message.value("Body")), languages)
    theirs = OPT_OUT_TYPES.get(message.value("OptOutType"))
    if theirs:
        same = ours and ours.action == theirs
        return KeywordMatch(
            theirs, ours.language if ours and same else None, is_answered_by_twilio=True, is_contact=not same
        )
    return ours


def _without_device_lines(text: str) -> str:
    lines = text.strip().splitlines()
    return "\n".join([*lines[:1], *(line for line in lines[1:] if not normalize(line).startswith(DEVICE_LINES))])


def _look_up(words: str, languages: Sequence[str]) -> KeywordMatch | None:
    found = (_KEYWORDS.get(language, {}).get(words) for language in ("", *languages))
    return next(filter(None, found), None)


def _match_keyword(text: str, languages: Sequence[str]) -> KeywordMatch | None:
    if len(text) > _MAX_CHARACTERS:
        return None
    words = _DIGIT_GAP.sub("", normalize(text)).split()
    if not words or len(words) > _MAX_WORDS:
        return None
    once = list(dict.fromkeys(words))
    if keyword := _look_up(" ".join(words), languages) or (_look_up(once[0], languages) if len(once) == 1 else None):
        return keyword
    essential = [word for word in once if word not in _COURTESY_WORDS]
    if essential[1:] and _SHORT_NUMBER.fullmatch(essential[-1]):
        keyword = _look_up(" ".join(essential[:-1]), languages)
        return keyword if keyword and keyword.action == "stop" and not keyword.is_contact else None
    keyword = _look_up(" ".join(essential), languages)
    return keyword if keyword and keyword.action != "help" and not keyword.is_contact else None


def build_preference(
    keyword: KeywordMatch, sender: ContactPoint, *, evidence: ClaimCheck, changed_at: datetime, hashing_key: bytes
) -> PreferenceChanged:
    """Build the event: STOP opts the number out of SMS and WhatsApp, START opts it in, HELP changes nothing."""
    return PreferenceChanged(
        contact_point_hash=hash_contact_point(sender, hashing_key),
        opt_outs=("sms", "whatsapp") if keyword.action == "stop" else (),
        source=_SOURCES[keyword.action],
        evidence=evidence,
        changed_at=changed_at,
        personal=PreferencePersonalData(contact_point=sender),
    )
