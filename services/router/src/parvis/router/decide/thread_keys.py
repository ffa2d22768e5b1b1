"""Derives the keyed hashes by which the mails of one thread are recognised: no address and no word. Pure; no I/O."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from parvis.common.contract.channels import channel
from parvis.common.contract.contact import ContactPoint, ContactReceived
from parvis.common.contract.normalize_contact_points import hash_contact_point
from parvis.common.contract.references import find_references
from parvis.common.contract.routing.decisions import make_conversation_id

_MOST_IDS = 12
_MOST_RECIPIENTS = 4
_LONGEST_SUBJECT = 300
_BRACKETED = re.compile(r"^\[[^\[\]]{1,40}\]")  # prefixes of mailing lists and filters: [EXTERNE], [SPAM?]
_ANSWER = frozenset("re rép rep réf ref tr fw fwd wg aw sv vs antw rv res enc odp vl".split())  # noqa: SIM905
_REPLY = _ANSWER - frozenset("réf ref tr fw fwd wg vs enc rv vl".split())  # noqa: SIM905 (without those that forward)
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
    `recipients`: the mail addresses to which a conversation opened by it is answered, beside its From. `claimed`: the sender as
    such a recipient of the conversation that its token names.
    """

    message_ids: tuple[bytes, ...] = ()
    answered_ids: tuple[bytes, ...] = ()
    subject: bytes | None = None
    recipients: tuple[bytes, ...] = ()
    claimed: bytes | None = None

    @property
    def stored(self) -> tuple[bytes, ...]:
        """The keys to store for a mail."""
        return (*self.message_ids, *self.recipients, *((self.subject,) if self.subject else ()))


_NONE = ThreadKeys()


def thread_keys_of(contact: ContactReceived, key: bytes) -> ThreadKeys:
    """The thread keys of a mail; empty for other channels."""
    if not channel(contact.channel).has_thread_headers:
        return _NONE
    thread = contact.thread
    answers = tuple(_hash("id", message_id, key) for message_id in _named(thread.in_reply_to[:_MOST_IDS]))
    own_ids = tuple(_hash("id", message_id, key) for message_id in _named((thread.message_id or "",)))
    about = normalize_subject(contact.personal.subject)
    # Automatic mails use one subject for every recipient and matter.
    is_distinctive = about and contact.contact_point_hash and contact.machine is None
    subject = _hash("subject", f"{contact.contact_point_hash}\x1f{about}", key) if is_distinctive else None
    sender, token = contact.contact_point_hash, thread.conversation_id
    claimed = _hash("recipient", f"{token}\x1f{sender}", key) if token and sender else None
    return ThreadKeys(tuple(dict.fromkeys((*own_ids, *answers))), answers, subject, _recipients(contact, key), claimed)


def _named(message_ids: Iterable[str]) -> list[str]:
    """The message ids that name a mail: an empty one is the same in mails that have nothing to do with each other."""
    return [message_id.strip() for message_id in message_ids if message_id.strip("<> \t\r\n")]


def _recipients(contact: ContactReceived, key: bytes) -> tuple[bytes, ...]:
    """The keys of the mail addresses that the mail asks to be answered at, in the conversation that it would open."""
    addresses = [to.address for to in contact.personal.reply_channels if to.channel == "email"]
    if not addresses:
        return ()
    opened = make_conversation_id(contact.contact_id, contact.received_at)
    points = [ContactPoint(kind="email", value=address) for address in addresses[:_MOST_RECIPIENTS]]
    return tuple(_hash("recipient", f"{opened}\x1f{hash_contact_point(point, key)}", key) for point in points)


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


def is_reply_subject(subject: str) -> bool:
    """Whether a mail program wrote the subject of a reply: « Re: », « Rép : », after any brackets."""
    rest = " ".join(subject[:_LONGEST_SUBJECT].split())
    while (shorter := _BRACKETED.sub("", rest).strip()) != rest:
        rest = shorter
    return _split_prefix(rest)[0] in _REPLY


def _without_prefix(subject: str) -> str:
    rest = _BRACKETED.sub("", subject).strip()
    prefix, tail = _split_prefix(rest)
    return tail if prefix in _ANSWER else rest


def _split_prefix(subject: str) -> tuple[str, str]:
    """What stands before the first colon, without numbers and brackets, and what follows it; no prefix without a colon."""
    head, colon, tail = subject.partition(":")
    return (head.strip().casefold().rstrip("0123456789[]()*^ "), tail.strip()) if colon else ("", subject)


def _hash(kind: str, text: str, key: bytes) -> bytes:
    person = kind.encode()
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16, key=key[:64], person=person).digest()
