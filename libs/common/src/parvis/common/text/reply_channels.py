"""A citizen's own words in, the reply channels they ask for out, each with its address. Pure; no I/O."""

import re
import unicodedata
from collections.abc import Iterator

from parvis.common.contract.contact import TEXT_LIMIT_BYTES, ContactPoint, ReplyAddress, ReplyChannel
from parvis.common.contract.contact_points import email_contact_point, phone_contact_point
from parvis.common.contract.errors import Rejected

# The means as they stand in the pattern, without accents, and the channel each one is.
_MEANS: dict[str, ReplyChannel] = {
    "sms": "sms",
    "texto": "sms",
    "text": "sms",
    "text message": "sms",
    "message texte": "sms",
    "whatsapp": "whatsapp",
    "mail": "email",
    "email": "email",
    "e-mail": "email",
    "mel": "email",
    "courriel": "email",
    "courrier electronique": "email",
    "telephone": "phone",
    "phone": "phone",
}
_ONE_MEANS = "|".join(sorted(map(re.escape, _MEANS), key=len, reverse=True))
_ASIDE = r"[ ,:-]{1,3}(?:moi|nous|me|us|plutot|svp|uniquement|seulement|de preference|s'il vous plait|please|preferably|only|to)"
_BEFORE_ADDRESS = (
    r"(?:[ ,:(]{1,3}(?:au|a|sur|to|on|at|l'adresse|le|mon|ma|my|numero|number|portable|mobile|adresse|address|suivant|suivante))"
    r"{0,5}[ ,:(<]{1,4}"
)
_ADDRESS = (
    r"(?:(?P<number>(?:\+|00)?[0-9(](?:[ .\-/()]?[0-9]){7,15})"
    r"|(?P<mail>[^\s<>,;:()\[\]\"@]{1,64}@[a-z0-9.-]{1,190}\.[a-z]{2,24}))"
)
# A text with none of these asks for nothing: most texts are done with here.
_HINTS = (*_MEANS, "télé", "électronique", "mèl", "appel", "call", "joindre", "contact")
# Every quantifier is bounded: the pattern is linear on whatever is sent to us.
_ASKED_BY = re.compile(
    r"\b(?:repondez|repondre|reponse|recontactez|contactez|contacter|joindre|joignez|prevenez|prevenir|ecrivez|"
    r"reply|answer|respond|response|contact|write|reach)"
    rf"(?:{_ASIDE}){{0,4}}[ ,]{{1,2}}(?:par|via|by|on) (?:an? |un |le |mon |my )?(?P<means>{_ONE_MEANS})\b"
    rf"(?:{_BEFORE_ADDRESS}{_ADDRESS})?"
)
_ASKED_DIRECTLY = re.compile(
    r"\b(?:(?P<verb>rappelez|appelez|call|phone|text|sms|email|e-mail)[ -](?:moi|nous|me|us)|"
    r"(?:envoyez|send)(?:[ -](?:moi|nous|me|us))? (?:an?|un) (?P<means>sms|texto|text|text message|mail|email|e-mail|courriel))"
    rf"(?:{_ASIDE}){{0,3}}{_BEFORE_ADDRESS}{_ADDRESS}"
)
_VERBS: dict[str, ReplyChannel] = {
    "rappelez": "phone",
    "appelez": "phone",
    "call": "phone",
    "phone": "phone",
    "text": "sms",
    "sms": "sms",
    "email": "email",
    "e-mail": "email",
}
_REFUSED = re.compile(r"(?:\b(?:not|never|ne|pas|jamais)|n't)(?: (?:me|nous|to))?[ ]?$")
_ANOTHERS_WORDS = re.compile(
    r"^(?:>|-{2,} ?(?:message d'origine|original message|forwarded|message transfere)|le .{5,120} a ecrit ?:|on .{5,120} wrote:)"
)


def find_stated_reply_channels(
    text: str, *, sender: ContactPoint | None = None, region: str = "FR"
) -> tuple[ReplyAddress, ...]:
    """The reply channels that a text plainly asks for, in its order: French and English.

    Shape:  « Répondez-moi par SMS au 06 39 98 00 12 », “please answer by email to someone@mail.example”.
    Gives:  nothing in doubt: a means without an address counts only when it is the way the sender wrote to us.
    """
    found: dict[ReplyChannel, ReplyAddress] = {}
    beginning = text[:TEXT_LIMIT_BYTES].lower()
    if not any(word in beginning for word in _HINTS):
        return ()
    for channel, typed in _asked(_plain(beginning)):
        # An address with an accent is another address without it: what is not there to the letter is not used.
        is_as_typed = "@" not in typed or typed in beginning
        address = _address(channel, typed, sender, region) if is_as_typed else None
        if address:
            found.setdefault(channel, ReplyAddress(channel=channel, address=address))
    return tuple(found.values())


def _plain(text: str) -> str:
    """The sender's own lines without accents, on one line."""
    own: list[str] = []
    for line in text.splitlines():
        decomposed = unicodedata.normalize("NFKD", line.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))
        plain = " ".join(decomposed.encode("ascii", "ignore").decode().split())
        if _ANOTHERS_WORDS.match(plain):
            if not plain.startswith(">"):
                break
            continue
        own.append(plain)
    return " ".join(own)


def _asked(plain: str) -> Iterator[tuple[ReplyChannel, str]]:
    """Each request in the order of the text: its channel, and the address as typed or an empty text."""
    matches = [*_ASKED_BY.finditer(plain), *_ASKED_DIRECTLY.finditer(plain)]
    for match in sorted(matches, key=re.Match.start):
        if _REFUSED.search(plain[max(0, match.start() - 20) : match.start()]):
            continue
        channel = _MEANS.get(match["means"] or "") or _VERBS.get(match.groupdict().get("verb") or "")
        if channel:
            yield channel, match["number"] or match["mail"] or ""


def _address(channel: ReplyChannel, typed: str, sender: ContactPoint | None, region: str) -> str | None:
    """The address in its normal form; none when it does not fit its channel."""
    kind = "email" if channel == "email" else "phone"
    if not typed:
        return sender.value if sender and sender.kind == kind else None
    try:
        return email_contact_point(typed).value if kind == "email" else phone_contact_point(typed, region=region).value
    except Rejected:
        return None
