"""Finds the reply channels that a citizen asks for in French or English, with the address of each. Pure; no I/O."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from parvis.common.contract.contact import ContactPoint, ReplyAddress, ReplyChannel
from parvis.common.contract.contact_points import email_contact_point, phone_contact_point
from parvis.common.contract.errors import Rejected
from parvis.common.contract.text_limit import TEXT_LIMIT_BYTES
from parvis.common.text.folding import fold

# One table of words for every channel a text comes by; all folded: without case and accents.
CHANNEL_WORDS: dict[str, ReplyChannel] = {
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
ANSWER_VERBS = (
    "repondez", "repondre", "reponse", "recontactez", "recontacter", "contactez", "contacter", "joindre", "joignez",
    "prevenez", "prevenir", "avertissez", "avertir", "informez", "informer", "ecrivez",
    "reply", "answer", "respond", "response", "contact", "write", "reach",
)  # fmt: skip
# An imperative that names its channel: « rappelez-moi au 06 … », “text me on 06 …”.
CHANNEL_VERBS: dict[str, ReplyChannel] = {
    "rappelez": "phone",
    "appelez": "phone",
    "telephonez": "phone",
    "call": "phone",
    "phone": "phone",
    "text": "sms",
    "sms": "sms",
    "email": "email",
    "e-mail": "email",
}
CALL_INFINITIVES = ("rappeler", "appeler", "telephoner")  # after a pronoun: « vous pouvez me rappeler au 06 … »

# A text with none of these asks for nothing; most texts need no further work.
_HINTS = (*CHANNEL_WORDS, "télé", "électronique", "mèl", "appel", "call", "joindre", "contact")


def _any_of(words: tuple[str, ...] | dict[str, ReplyChannel]) -> str:
    return "|".join(sorted(map(re.escape, words), key=len, reverse=True))


_ASIDE = (
    r"[ ,:-]{1,3}(?:moi|nous|me|us|plutot|svp|uniquement|seulement|directement|de preference|de votre part|si possible|"
    r"s'il vous plait|please|preferably|only|if possible|to)"
)
_BEFORE_ADDRESS = (
    r"(?:[ ,:(]{1,3}(?:au|a|sur|to|on|at|l'adresse|le|mon|ma|my|numero|number|portable|mobile|adresse|address|suivant|suivante))"
    r"{0,5}[ ,:(<]{1,4}"
)
_ADDRESS = (
    r"(?:(?P<number>(?:\+|00)?[0-9(](?:[ .\-/()]?[0-9]){7,15})"
    r"|(?P<mail>[^\s<>,;:()\[\]\"@]{1,64}@[a-z0-9.-]{1,190}\.[a-z]{2,24}))"
)
# Every quantifier is bounded, so that the patterns take linear time on any text.
_ANSWER_BY_CHANNEL = re.compile(
    rf"\b(?:{_any_of(ANSWER_VERBS)})"
    rf"(?:{_ASIDE}){{0,4}}[ ,]{{1,2}}(?:par|via|by|on) (?:an? |un |le |mon |my )?(?P<word>{_any_of(CHANNEL_WORDS)})\b"
    rf"(?:{_BEFORE_ADDRESS}{_ADDRESS})?"
)
_CHANNEL_VERB_WITH_ADDRESS = re.compile(
    rf"\b(?:(?P<verb>{_any_of(CHANNEL_VERBS)})[ -](?:moi|nous|me|us)|"
    rf"(?:me |nous |m')(?P<infinitive>{_any_of(CALL_INFINITIVES)})|"
    r"(?:envoyez|send)(?:[ -](?:moi|nous|me|us))? (?:an?|un) "
    r"(?P<word>sms|texto|text|text message|mail|email|e-mail|courriel))"
    rf"(?:{_ASIDE}){{0,3}}{_BEFORE_ADDRESS}{_ADDRESS}"
)
_NEGATION = re.compile(r"\b(?:ne|pas|plus|jamais|sans|not|never)\b|\bn'|n't\b")
_INVITATION = re.compile(r"n'hesitez (?:surtout )?pas\b|(?:do not|don't) hesitate\b")  # negative in form only
_CLAUSE_END = re.compile(r"[.!?;:,]")
_NEGATION_WINDOW = 40  # characters before the request, at most: « je ne souhaite pas que vous me »
_QUOTED_LINE = re.compile(
    r"^(?:>|-{2,} ?(?:message d'origine|original message|forwarded|message transfere)|le .{5,120} a ecrit ?:|on .{5,120} wrote:)"
)


@dataclass(frozen=True)
class ReplyChannelRequest:
    """One request for a reply channel. `start` and `end` are the address's in the folded text; equal when none was typed."""

    reply_address: ReplyAddress
    start: int
    end: int


def find_stated_reply_channels(
    text: str, *, sender: ContactPoint | None = None, region: str = "FR"
) -> tuple[ReplyAddress, ...]:
    """The reply channels that a message plainly asks for, each channel once, in the order of the text.

    Shape:  « Répondez-moi par SMS au 06 39 98 00 12 », “please answer by email to someone@mail.example”. Lines that quote
            another message are ignored.
    Gives:  an empty tuple when in doubt. A channel without an address counts only if the sender wrote on that channel.
    """
    beginning = text[:TEXT_LIMIT_BYTES].lower()
    if not any(hint in beginning for hint in _HINTS):
        return ()
    by_channel: dict[ReplyChannel, ReplyAddress] = {}
    folded = " ".join(_unquoted_lines(beginning))
    for request in find_reply_channel_requests(folded, beginning, sender=sender, region=region):
        by_channel.setdefault(request.reply_address.channel, request.reply_address)
    return tuple(by_channel.values())


def find_reply_channel_requests(
    folded: str, original: str, *, sender: ContactPoint | None = None, region: str = "FR"
) -> Iterator[ReplyChannelRequest]:
    """Every request with a valid address, in the order of the text.

    Shape:  `folded` is `original` through `fold_line`, its lines joined by spaces.
    """
    matches = [*_ANSWER_BY_CHANNEL.finditer(folded), *_CHANNEL_VERB_WITH_ADDRESS.finditer(folded)]
    lower_case = original.lower()
    for match in sorted(matches, key=re.Match.start):
        typed = match["number"] or match["mail"] or ""
        # Folding takes the accents off an address, and then it is somebody else's.
        if _is_negated(folded, match.start()) or ("@" in typed and typed not in lower_case):
            continue
        channel = _requested_channel(match)
        address = _normalize_address(channel, typed, sender, region)
        if address:
            start, end = match.span("number" if match["number"] else "mail") if typed else (match.end(), match.end())
            yield ReplyChannelRequest(ReplyAddress(channel=channel, address=address), start, end)


def fold_line(line: str) -> str:
    """A line as the patterns expect it: folded, straight apostrophes, single spaces."""
    return " ".join(fold(line.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")).split())


def _unquoted_lines(text: str) -> Iterator[str]:
    """The sender's own lines, folded: a marker such as “On … wrote:” ends them, a line with `>` is left out."""
    for line in text.splitlines():
        folded = fold_line(line)
        if not _QUOTED_LINE.match(folded):
            yield folded
        elif not folded.startswith(">"):
            return


def _is_negated(folded: str, start: int) -> bool:
    """Whether the clause before a request takes it back: « merci de ne pas me répondre par SMS »."""
    clause = _CLAUSE_END.split(folded[max(0, start - _NEGATION_WINDOW) : start])[-1]
    return bool(_NEGATION.search(_INVITATION.sub("", clause)))


def _requested_channel(match: re.Match[str]) -> ReplyChannel:
    groups = match.groupdict()
    word, verb = groups["word"], groups.get("verb")
    return CHANNEL_WORDS[word] if word else CHANNEL_VERBS[verb] if verb else "phone"


def _normalize_address(channel: ReplyChannel, typed: str, sender: ContactPoint | None, region: str) -> str | None:
    """The typed address, else the sender's, in its normal form; None if it does not fit the channel."""
    kind = "email" if channel == "email" else "phone"
    if not typed:
        return sender.value if sender and sender.kind == kind else None
    try:
        return email_contact_point(typed).value if kind == "email" else phone_contact_point(typed, region=region).value
    except Rejected:
        return None
