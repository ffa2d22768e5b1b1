"""The text of a message in, the order that it is to us (STOP, START, HELP) out, and what the town keeps of it. Pure; no I/O."""

import unicodedata
from dataclasses import dataclass
from datetime import datetime

from parvis.common.contract.contact import ClaimCheck, ContactPoint, Language
from parvis.common.contract.contact_points import hash_contact_point
from parvis.common.contract.preference import SMS_HELP, SMS_START, SMS_STOP, PersonalPreference, PreferenceChanged
from parvis.ingest_sms.parse.form import Announcement
from parvis.ingest_sms.tables import ALSO_ANSWERS, COURTESIES, KEYWORDS, OPT_OUT_TYPES, Order

_MOST_WORDS, _MOST_LETTERS = 8, 64  # an order is short; what is longer is read by people, whatever words it has
_UNDECOMPOSED = str.maketrans({"ı": "i", "ł": "l", "đ": "d", "ـ": ""})  # what Unicode sees as letters of their own
_SOURCES = {"stop": SMS_STOP, "start": SMS_START, "help": SMS_HELP}


@dataclass(frozen=True)
class Told:
    """What a message orders. `is_answered`: Twilio has answered it already. `is_contact`: it may also be meant for people."""

    order: Order
    language: Language | None = None
    is_answered: bool = False
    is_contact: bool = False


def plain(text: str) -> str:
    """A text as orders are compared: no accents, case, punctuation or emoji; one space between words.

    An apostrophe parts words, as it is typed with and without: « s'il vous plaît », « s il vous plait ».
    """
    decomposed = unicodedata.normalize("NFKD", text.casefold().translate(_UNDECOMPOSED))
    letters = (c if c.isalnum() else "" if unicodedata.combining(c) else " " for c in decomposed)
    return " ".join("".join(letters).split())


_ORDERS: dict[str, Told] = {}
for _order, _languages in KEYWORDS.items():
    for _language, _words in _languages.items():
        for _word in _words:
            _ORDERS.setdefault(plain(_word), Told(_order, _language or None, is_contact=_word in ALSO_ANSWERS))
_COURTESIES = frozenset(plain(word) for words in COURTESIES for word in plain(words).split())


def order_in(told: Announcement) -> Told | None:
    """The order that a message is, when it is nothing else: « STOP », « Arrêt !! », « stop sms svp », “STOP STOP”.

    Gives:  none for “stop the noise in my street”, for anything with a picture, and in doubt: people read what is no order.
            What Twilio itself has taken for an order (OptOutType) is one, and a contact too unless we would say the same.
    """
    if told.media or told.media_missing:
        return None
    mine = _read(told.value("Body"))
    theirs = OPT_OUT_TYPES.get(told.value("OptOutType"))
    if theirs:
        same = mine and mine.order == theirs
        return Told(theirs, mine.language if mine and same else None, is_answered=True, is_contact=not same)
    return mine


def _read(text: str) -> Told | None:
    if len(text) > _MOST_LETTERS:
        return None
    words = plain(text).split()
    if not words or len(words) > _MOST_WORDS:
        return None
    once = list(dict.fromkeys(words))
    if found := _ORDERS.get(" ".join(words)) or (_ORDERS.get(once[0]) if len(once) == 1 else None):
        return found
    bare = " ".join(word for word in once if word not in _COURTESIES)
    found = _ORDERS.get(bare)
    return found if found and found.order != "help" and not found.is_contact else None


def preference_of(
    told: Told, sender: ContactPoint, *, evidence: ClaimCheck, changed_at: datetime, hashing_key: bytes
) -> PreferenceChanged:
    """What the town keeps of an order: STOP closes the telephone to SMS and WhatsApp, START opens both, HELP changes nothing."""
    return PreferenceChanged(
        contact_point_hash=hash_contact_point(sender, hashing_key),
        opt_outs=("sms", "whatsapp") if told.order == "stop" else (),
        source=_SOURCES[told.order],
        evidence=evidence,
        changed_at=changed_at,
        personal=PersonalPreference(contact_point=sender),
    )
