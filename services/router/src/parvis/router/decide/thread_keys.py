"""Derives the keyed hashes by which the mails of one thread are recognised: no address and no word. Pure; no I/O."""

import hashlib
import re
import unicodedata
from dataclasses import dataclass

from parvis.common.contract.channels import channel
from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.references import find_references

_MOST_IDS = 12
_LONGEST_SUBJECT = 300
_BRACKETED = re.compile(r"^\[[^\[\]]{1,40}\]")  # prefixes of mailing lists and filters: [EXTERNE], [SPAM?]
_ANSWER = frozenset("re rép rep réf ref tr fw fwd wg aw sv vs antw rv res enc odp vl".split())  # noqa: SIM905
_REFERENCE = frozenset("réf ref référence reference".split())  # noqa: SIM905
# Words that identify no matter: two mails with only such a subject may be unrelated.
_EMPTY_WORDS = frozenset(
    (  # noqa: SIM905
        "bonjour bonsoir madame monsieur demande renseignement renseignements information informations question "
        "questions urgent important mairie message contact courriel mail sans objet aucun test hello hi dear request "
        "enquiry inquiry help info no subject none document documents pièce jointe pièces jointes photo photos image "
        "facture votre ma mon une un de la le les à and the a my your please svp merci"
    ).split()
)


@dataclass(frozen=True, slots=True)
class ThreadKeys:
    """The keyed hashes that link a mail to its thread.

    `message_ids`: its Message-ID and those it answers; a later mail that answers one of them belongs to the same thread.
    `answered_ids`: those it answers, nearest first. `subject`: the hash of sender and subject; None if the subject is not distinctive.
    """

    message_ids: tuple[bytes, ...] = ()
    answered_ids: tuple[bytes, ...] = ()
    subject: bytes | None = None

    @property
    def stored(self) -> tuple[bytes, ...]:
        """The keys to store for a mail."""
        return (*self.message_ids, self.subject) if self.subject else self.message_ids


_NONE = ThreadKeys()


def thread_keys_of(contact: ContactReceived, key: bytes) -> ThreadKeys:
    """The thread keys of a mail; empty for other channels."""
    if not channel(contact.channel).has_thread_headers:
        return _NONE
    thread = contact.thread
    answers = tuple(_hash("id", message_id.strip(), key) for message_id in thread.in_reply_to[:_MOST_IDS])
    own_ids = (_hash("id", thread.message_id.strip(), key),) if thread.message_id else ()
    about = normalize_subject(contact.personal.subject)
    # Automatic mails use one subject for every recipient and matter.
    is_distinctive = about and contact.contact_point_hash and contact.machine is None
    subject = _hash("subject", f"{contact.contact_point_hash}\x1f{about}", key) if is_distinctive else None
    return ThreadKeys(tuple(dict.fromkeys((*own_ids, *answers))), answers, subject)


def normalize_subject(subject: str) -> str:
    """Remove « Re: », « TR: », brackets, references, case and accents; empty if the subject is not distinctive."""
    rest = " ".join(subject[:_LONGEST_SUBJECT].split())
    while (shorter := _without_prefix(rest)) != rest:
        rest = shorter
    for quoted in find_references(rest):
        rest = rest.replace(quoted, " ")
    letters = "".join(character if character.isalnum() else " " for character in rest.casefold())
    words = [word for word in letters.split() if word not in _REFERENCE]
    if not set(words) - _EMPTY_WORDS:
        return ""
    decomposed = unicodedata.normalize("NFKD", " ".join(words))
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def _without_prefix(subject: str) -> str:
    rest = _BRACKETED.sub("", subject).strip()
    head, colon, tail = rest.partition(":")
    word = head.strip().casefold().rstrip("0123456789[]()*^ ")
    return tail.strip() if colon and word in _ANSWER else rest


def _hash(kind: str, text: str, key: bytes) -> bytes:
    person = kind.encode()
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16, key=key[:64], person=person).digest()
