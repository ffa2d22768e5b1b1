"""Makes the search terms of a message: its words, and exact terms for names, numbers, addresses and the reference. Pure; no I/O."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from parvis.common.contract.errors import Rejected
from parvis.common.text.folding import fold
from parvis.common.text.invisible_characters import remove_invisible_characters
from parvis.common.text.telephone import parse_e164
from parvis.common.town.models import TownConfig
from parvis.desk.models.case import AgentReply, CaseActionRecord, CaseContact
from parvis.web.format_form_answers import format_answers

NOTE_KINDS = frozenset({"called", "noted", "call_noted", "text_corrected"})  # actions whose text an agent wrote
DAYS_OF_PERIOD = {"week": 7, "period": 112}
_REGION = "FR"
_LONGEST_TERM = 100
_WORD = re.compile(r"[^\W_]+")
_MAIL = re.compile(r"[^\s<>()\[\],;:\"]+@[^\s<>()\[\],;:\"@]+[^\W_]")
_NUMBER = re.compile(r"(?<![\w+])\+?\d(?:[ .()/\-\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}]{0,2}\d){5,15}(?!\w)")
_FEMININE = re.compile(r"ee(s?)$")  # « cassée » has the stem of « cassé » also without accents


@dataclass(frozen=True)
class SearchEntry:
    """One message in the search index.

    Shape:  `words` are for PostgreSQL's stemmers; `terms` are exact: `n:` name, `m:` mail address, `p:` reversed telephone
            number, `r:` four characters of the reference, `week:` and `period:` its time. `sender` identifies the person.
    """

    entry_id: str
    conversation_id: str
    kind: str
    sender: str
    at: datetime
    words: str
    terms: tuple[str, ...]
    is_french: bool = True


def describe_contact(opened: CaseContact, conversation: str, town_config: TownConfig) -> SearchEntry:
    """The entry of a contact: its texts, its sender, the names of its files."""
    contact, personal = opened.contact, opened.contact.personal
    procedure = town_config.procedure(opened.routing.procedure or contact.procedure)
    language = town_config.town.supported_language(contact.language)
    answers = [answer for _, answer in format_answers(town_config, contact.procedure, personal.answers, language)]
    titles = list(procedure.title.values()) if procedure else []
    texts = [personal.subject, personal.text, *answers, personal.signature, *personal.file_names, *titles]
    point = personal.from_.value if personal.from_ else ""
    addresses = [point, *(reply.address for reply in personal.reply_channels)]
    text = remove_invisible_characters(" \n".join([*texts, *addresses]))
    terms = {*_name_terms(personal.display_name), *_address_terms(text), *reference_terms(contact.reference)}
    terms |= {term for mail in find_mails(point) for term in _name_terms(mail.partition("@")[0])}
    return SearchEntry(
        entry_id=contact.contact_id, conversation_id=conversation, kind="contact",
        sender=(point or fold(personal.display_name))[:400], at=contact.received_at,
        words=join_words(text + " " + personal.display_name), terms=tuple(terms | _time_terms(contact.received_at)),
        is_french=contact.language in (None, "fr"),
    )  # fmt: skip


def describe_reply(reply: AgentReply) -> SearchEntry:
    """The entry of an agent's reply: its text and its address."""
    terms = _address_terms(f"{reply.text}\n{reply.address}") | _time_terms(reply.at)
    words = join_words(f"{reply.text} {reply.address} {reply.agent}")
    return SearchEntry(reply.reply_id, reply.conversation_id, "reply", "", reply.at, words, tuple(terms))


def describe_note(note: CaseActionRecord) -> SearchEntry:
    """The entry of what an agent noted on a case."""
    terms = _address_terms(note.text) | _time_terms(note.at)
    words = join_words(f"{note.text} {note.agent}")
    return SearchEntry(note.act_id, note.conversation_id, "note", "", note.at, words, tuple(terms))


def split_words(text: str) -> list[str]:
    """The words of a text in lower case, with their accents."""
    return [word[:_LONGEST_TERM] for word in _WORD.findall(text.casefold())]


def fold_word(word: str) -> str:
    """A word without accents, in the spelling whose stem all its forms share."""
    return _FEMININE.sub(r"e\1", fold(word))


def join_words(text: str) -> str:
    """Each different word of a text, as it is written and folded: who searches may leave accents out."""
    words = dict.fromkeys(split_words(text))
    return " ".join(dict.fromkeys(form for word in words for form in (word, *split_words(fold_word(word)))))


def find_mails(text: str) -> list[str]:
    """The mail addresses in a text, folded."""
    return [fold(mail)[:_LONGEST_TERM] for mail in _MAIL.findall(text)]


def find_numbers(text: str) -> Iterator[tuple[str, str]]:
    """What may be a telephone number in a text, with its digits in E.164, or as they stand if they are no whole number."""
    for match in _NUMBER.finditer(text):
        try:
            digits = parse_e164(match[0], _REGION)
        except Rejected:
            digits = match[0]
        yield match[0], re.sub(r"\D", "", digits)


def number_term(digits: str) -> str:
    """The term of a number; reversed, so that its last digits are a prefix."""
    return f"p:{digits[::-1]}"


def reference_terms(reference: str) -> set[str]:
    """Every four characters in a row of a reference: any part of four or more can be found by them."""
    plain = reference.removeprefix("P-").replace("-", "")
    return {f"r:{plain[start : start + 4]}" for start in range(len(plain) - 3)}


def quote_term(term: str) -> str:
    """A term as PostgreSQL's tsquery and tsvector have it in quotes."""
    escaped = term.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


def time_term(name: str, number: int) -> str:
    return f"{name}:{number}"


def number_of_period(name: str, at: datetime) -> int:
    """The number of the week or period (16 weeks) in which an instant lies."""
    return int(at.timestamp()) // (86400 * DAYS_OF_PERIOD[name])


def _time_terms(at: datetime) -> set[str]:
    return {time_term(name, number_of_period(name, at)) for name in DAYS_OF_PERIOD}


def _name_terms(name: str) -> set[str]:
    return {f"n:{word}" for word in split_words(fold(name))}


def _address_terms(text: str) -> set[str]:
    mails = {f"m:{mail}" for mail in find_mails(text)}
    return mails | {number_term(digits) for _, digits in find_numbers(text) if len(digits) >= 6}
