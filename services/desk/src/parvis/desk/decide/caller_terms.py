"""Makes the terms by which a caller is found (name, number, mail address, reference), and the query for what was typed. Pure; no I/O."""

import re
from dataclasses import dataclass

from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.errors import Rejected
from parvis.common.contract.normalize_contact_points import email_contact_point, phone_contact_point
from parvis.common.contract.references import find_references
from parvis.common.text.folding import fold, fold_words
from parvis.desk.decide.search_terms import quote_term

MAX_TYPED_LENGTH = 200
_LEAST_LETTERS, _LEAST_DIGITS, _LEAST_OF_REFERENCE = 2, 4, 4
_MOST_WORDS = 8
_NUMBER = re.compile(r"(?:\+|00)?[\d\s.()/-]+")
_LONGEST_TERM = 100


@dataclass(frozen=True)
class TypedCaller:
    """What an agent typed to say who it is: one of a number, a mail address, a reference or a name."""

    typed: str = ""
    phone: str = ""
    email: str = ""
    reference: str = ""
    name: str = ""
    query: str = ""  # of PostgreSQL's full-text search; empty: too short to look for anybody

    @property
    def is_identified(self) -> bool:
        """Whether it names one person or case, where a name may be that of many."""
        return bool(self.phone or self.email or self.reference)


def make_caller_terms(contact: ContactReceived) -> list[str]:
    """The terms of a contact: `n:` each word of the name, `p:` digits of a number and `q:` the same reversed, `m:` mail address, `r:` reference."""
    personal = contact.personal
    points = [personal.from_] if personal.from_ else []
    addresses = [point.value for point in points] + [reply.address for reply in personal.reply_channels]
    terms = {f"n:{word}" for word in fold_words(personal.display_name).split()}
    for address in addresses:
        if "\n" in address:
            continue  # a postal address; its name is the display name
        if "@" in address:
            terms.add(f"m:{fold(address)}")
        elif digits := re.sub(r"\D", "", address):
            terms |= {f"p:{digits}", f"q:{digits[::-1]}"}
    # Whoever quotes a reference is not found by it, unless staff wrote the contact down: it may be another's.
    quoted = contact.thread.reference if contact.sender.level == "staff" else None
    terms |= {f"r:{_plain(reference)}" for reference in (contact.reference, quoted) if reference}
    return sorted(term[:_LONGEST_TERM] for term in terms)


def read_caller(text: str) -> TypedCaller:
    """Read what was typed so far. Never fails: what can be nobody's has an empty query."""
    typed = " ".join(text.replace("\x00", " ").split())[:MAX_TYPED_LENGTH]
    if references := find_references(typed):  # also in the address that a receipt's code holds
        return TypedCaller(typed, reference=references[0], query=quote_term(f"r:{_plain(references[0])}"))
    if _NUMBER.fullmatch(typed):
        return _read_number(typed)
    if "@" in typed:
        return _read_mail(typed)
    words = [word for word in fold_words(typed).split() if len(word) >= _LEAST_LETTERS][:_MOST_WORDS]
    names = " & ".join(f"{quote_term(f'n:{word}')}:*" for word in words)
    part = _plain(typed)
    is_part = len(part) >= _LEAST_OF_REFERENCE and part.isalnum() and part.isascii()
    either = [f"({names})" if names else "", f"{quote_term(f'r:{part}')}:*" if is_part else ""]
    is_name = not any(character.isdigit() for character in typed)
    return TypedCaller(typed, name=typed if is_name else "", query=" | ".join(filter(None, either)))


def _read_number(typed: str) -> TypedCaller:
    """A whole number, its beginning as people dial it, or its last digits."""
    try:
        number = phone_contact_point(typed).value
    except Rejected:
        number = ""
    digits = re.sub(r"\D", "", number or typed)
    if len(digits) < _LEAST_DIGITS:
        return TypedCaller(typed)
    if number:
        return TypedCaller(typed, phone=number, query=quote_term(f"p:{digits}"))
    dialled = digits[2:] if digits.startswith("00") else f"33{digits[1:]}" if digits.startswith("0") else digits
    beginning, end = f"{quote_term(f'p:{dialled}')}:*", f"{quote_term(f'q:{digits[::-1]}')}:*"
    return TypedCaller(typed, query=f"{beginning} | {end} | {quote_term(f'r:{digits}')}:*")


def _read_mail(typed: str) -> TypedCaller:
    try:
        address = email_contact_point(typed).value
    except Rejected:
        address = ""
    return TypedCaller(typed, email=address, query=f"{quote_term(f'm:{fold(address or typed)}')}:*")


def _plain(reference: str) -> str:
    """A reference or its beginning without what people leave out: P-ZFVV-2Q9X becomes ZFVV2Q9X."""
    return re.sub(r"[\s-]", "", re.sub(r"^P-", "", reference.upper()))


def quote_terms(terms: list[str]) -> str:
    """Terms as the text of a tsvector."""
    return " ".join(map(quote_term, terms))
