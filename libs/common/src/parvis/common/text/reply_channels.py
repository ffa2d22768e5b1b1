"""Finds the reply channels that a citizen asks for in French or English, with the address of each. Pure; no I/O."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from parvis.common.contract.contact import ContactPoint, ReplyAddress, ReplyChannel
from parvis.common.contract.errors import Rejected
from parvis.common.contract.normalize_contact_points import email_contact_point, phone_contact_point
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
    "repondiez", "recontactiez", "contactiez", "preveniez", "avertissiez", "informiez",
    *(f"etre {verb}{ending}" for verb in ("recontacte", "contacte", "prevenu", "averti", "informe", "joint") for ending in ("", "e")),
    *(f"{beginning} {rest}" for beginning in ("tenez-moi", "tenez moi", "me tenir") for rest in ("au courant", "informe", "informee")),
    *(f"{beginning} {rest}" for beginning in ("donnez-moi", "donnez moi", "me donner") for rest in ("des nouvelles", "de vos nouvelles", "une reponse")),
    *(f"{beginning} {rest}" for beginning in ("faites-moi", "faites moi", "me faire") for rest in ("signe", "savoir")),
    "reply", "answer", "respond", "response", "contact", "write", "reach", "be contacted", "be informed", "be reached",
    "let me know", "keep me posted", "keep me informed", "keep me updated", "get back to me", "get in touch",
)  # fmt: skip
# An imperative that names its channel: « rappelez-moi au 06 … », “text me on 06 …”.
CHANNEL_VERBS: dict[str, ReplyChannel] = {
    "rappelez": "phone",
    "appelez": "phone",
    "telephonez": "phone",
    "call": "phone",
    "phone": "phone",
    "ring": "phone",
    "text": "sms",
    "sms": "sms",
    "email": "email",
    "e-mail": "email",
}
CALL_INFINITIVES = ("rappeler", "appeler", "telephoner")  # after a pronoun: « vous pouvez me rappeler au 06 … »
CALLED = (
    "rappele",
    "appele",
    "rappelee",
    "appelee",
    "called",
    "phoned",
    "rung",
)  # « je voudrais être rappelé au 06 … »

# A text with none of these asks for nothing; most texts need no further work.
_HINTS = (
    *CHANNEL_WORDS,
    "télé",
    "électronique",
    "mèl",
    "appel",
    "call",
    "joindre",
    "contact",
    "adresse",
    "@",
    "ring me",
)


def _any_of(words: tuple[str, ...] | dict[str, ReplyChannel]) -> str:
    return "|".join(sorted(map(re.escape, words), key=len, reverse=True))


_ASIDE = (
    r"[ ,:-]{1,3}(?:moi|nous|me|us|plutot|svp|uniquement|seulement|directement|de preference|de votre part|si possible|"
    r"s'il vous plait|please|preferably|only|if possible|to)"
)
_BEFORE_ADDRESS = (
    r"(?:[ ,:(]{1,3}(?:au|a|sur|to|on|at|l'adresse|le|ce|cette|mon|ma|my|this|numero|number|portable|mobile|adresse|address|suivant|suivante|"
    r"svp|stp|merci|please|s'il vous plait)){0,5}[ ,:(<]{1,4}"
)
_ADDRESS = (
    r"(?:(?P<number>(?:(?:\+|00)[0-9]{1,3} ?\(0\) ?)?(?:\+|00)?[0-9(](?:[ .\-/()]?[0-9]){7,15})"
    r"|(?P<mail>[^\s<>,;:()\[\]\"@]{1,64}@[a-z0-9.-]{1,190}\.[a-z]{2,24}))"
)
# Every quantifier is bounded, so that the patterns take linear time on any text.
_ANSWER_BY_CHANNEL = re.compile(
    rf"\b(?:{_any_of(ANSWER_VERBS)})"
    rf"(?:{_ASIDE}|[ ,]{{1,2}}(?:souhaitee?|(?:pas )?par (?:mail|email|e-mail|courriel|sms|telephone|courrier) mais)){{0,4}}[ ,]{{1,2}}(?:par|via|sur|by|on) (?:an? |un |le |mon |my )?(?P<word>{_any_of(CHANNEL_WORDS)})\b"
    rf"(?:{_BEFORE_ADDRESS}{_ADDRESS})?"
)
_CHANNEL_VERB_WITH_ADDRESS = re.compile(
    rf"\b(?:(?P<verb>{_any_of(CHANNEL_VERBS)})[ -](?:moi|nous|me|us)(?: back)?|"
    rf"(?:(?:me |nous |m')(?:{_any_of(CALL_INFINITIVES)})|(?:etre|be) (?:{_any_of(CALLED)})(?: back)?)|"
    r"(?:(?:envoyez|send)(?:[ -](?:moi|nous|me|us))?|(?:m'|nous )envoyer) (?:an?|un) "
    r"(?P<word>sms|texto|text|text message|mail|email|e-mail|courriel))"
    rf"(?:{_ASIDE}){{0,3}}{_BEFORE_ADDRESS}{_ADDRESS}"
)
_ANSWER_AT_MAIL = re.compile(
    rf"\b(?:(?:repondez|ecrivez|recontactez|contactez|reply|write)(?:{_ASIDE}){{1,3}}|"
    rf"(?:me|nous|merci de|priere de|veuillez|bien vouloir) (?:repondre|ecrire|recontacter|contacter)(?:{_ASIDE}){{0,3}}|"
    r"(?:(?:envoyez|adressez|transmettez|send)(?:[ -](?:moi|nous|me|us))?|(?:m'|me |nous |merci de |please )(?:envoyer|adresser|transmettre|send)) "
    rf"(?:votre |la |une |toute |your |the |any )?(?:reponse|answer|reply|response)(?:{_ASIDE}){{0,2}}){_BEFORE_ADDRESS}"
    r"(?P<number>(?!))?(?P<mail>[^\s<>,;:()\[\]\"@]{1,64}@[a-z0-9.-]{1,190}\.[a-z]{2,24})"
)
_NEGATION = re.compile(
    r"\b(?:ne|ni|pas|plus|jamais|sans|inutile|impossible|refus\w*|evit\w*|arret\w*|cess\w*|stop|stopped|not|never|without|cannot|refuse\w*)\b|\bn'|n't\b"
)
# Told, not asked; of somebody else, or of reaching the town. A verb in the infinitive asks only with « me », « nous » or « merci de ».
_TOLD = re.compile(
    r"\b(?:il|elle|ils|elles|on|he|she|they|qui|who|comment|how|dit|disait|demandait|essay\w*|tent\w*|tried|told|said|asked|"
    r"agent|agents|service|services|mairie|collegue|vous deviez|devait|devaient|supposed|autrefois|jadis|auparavant|formerly|"
    r"(?:mon|ma|mes|notre|nos|son|sa|ses|leur|my|our|his|her|their) (?!numero|portable|mobile|adresse|mail|number|address)\w+)\b"
    r"|\b(?:vous|de vous|you) (?:recontacter|contacter|repondre|joindre|ecrire|prevenir|avertir|rappeler|informer|appeler)\b"
    r"|\b(?:a|ai|as|avez|avons|ont|avait|avais|was|have|has|had) (?:ete |deja |been |already )?$|\b(?:si|if|quand|when) (?!possible)"
)
# « Mon fils vous a écrit : répondez… », “the caretaker said: write to…”: what follows the colon is somebody else's, unless it is « je » who says it.
_REPORTS = re.compile(
    r"\b(?:ecri(?:t|vait)|dit|disait|repond(?:u|ait)|conseill(?:e|ait)|indiqu(?:e|ait)|precis(?:e|ait)|ajout(?:e|ait)|demandait|"
    r"(?:a|ont|avait|il|elle|on|vous) demande|wrote|writes|said|says|told|tells|asked|asks|answered|replied|reads|"
    r"(?:mot|message|lettre|mail|courriel|e-mail|email|sms|texto|note|annonce|letter|word|text) "
    r"(?:de (?:mon|ma|mes|notre|nos|son|sa|la|mr?|mme|mlle|monsieur|madame)|du (?![0-9])|from|of))\b"
)
# « J'ai reçu ce message suspect : … », « l'an dernier j'avais écrit : … », « je vous transmets ce que demande ma tante : … »: it is another's, although it is « je » who says it.
_RECEIVED = re.compile(
    r"\b(?:recus?|recues?|recu(?:ent|rent)|received|got|suspecte?s?|suspicious|frauduleu\w*|arnaques?|fraud\w*|scam\w*|"
    r"transm(?:et|is)\w*|transfer\w*|fai(?:s|t|re|sons) suivre|relai\w*|relay\w*|forward\w*|pass(?:es|ing)? on|recopi\w*|dict\w*|tradui\w*|translat\w*|"
    r"j'avais (?:ecrit|demande|dit|indique|donne)|i had (?:written|asked|said|given)|"
    r"de la part d(?:e|u|es)|au nom d(?:e|u|es)|charge de|on behalf of|asked me to)\b"
)
_FIRST_PERSON = re.compile(r"\b(?:je|j'|i|we)(?:\b|(?<='))")
_INFINITIVE = re.compile(
    r"(?:recontacter|contacter|repondre|joindre|prevenir|avertir|informer|"
    r"recontactiez|contactiez|repondiez|preveniez|avertissiez|informiez)\b"
)
_ASKS_ME = re.compile(
    r"\b(?:me |m'|nous |merci de |priere de |veuillez |bien vouloir )$|(?:n'hesitez (?:surtout )?pas a )$"
)
_INVITATION = re.compile(r"n'hesitez (?:surtout )?pas\b|(?:do not|don't) hesitate\b")  # negative in form only
_CLAUSE_END = re.compile(r"[.!?;:,\u00ab\u00bb\u201c\u201d]|\b(?:mais|but)\b")
_SENTENCE_END = re.compile(r"(?<!\bm)(?<!\bmr)(?<!\bmrs)(?<!\bdr)[.!?;:]")  # « M. Exemple » is no end
_PASSAGE_START = re.compile(r":(?=[ «\"“]|$)\s*")  # not the colon of 10:30
_PASSAGE_END = re.compile(r"[»”]|  ")  # an empty line is left between two spaces
_PASSAGE_WINDOW, _MOST_COLONS = 1500, 10
_CLAUSE_WINDOW = 100  # characters before the request, at most: « je ne souhaite pas que vous me »
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
    text: str, *, sender: ContactPoint | None = None, region: str = "FR", own: Collection[str] = ()
) -> tuple[ReplyAddress, ...]:
    """The reply channels that a message plainly asks for, each channel once, in the order of the text.

    Shape:  « Répondez-moi par SMS au 06 39 98 00 12 », “please answer by email to someone@mail.example”. Lines that quote
            another message are ignored.
            own, the town's numbers and mailboxes, which are nobody's wish.
    Gives:  an empty tuple when in doubt: only what writers ask for themselves, never what is told, negated or of others. A channel without an address counts only if the sender wrote on that channel.
    """
    beginning = text[:TEXT_LIMIT_BYTES].lower()
    if not any(hint in beginning for hint in _HINTS):
        return ()
    by_channel: dict[ReplyChannel, ReplyAddress] = {}
    folded = " ".join(_unquoted_lines(beginning))
    for request in find_reply_channel_requests(folded, beginning, sender=sender, region=region, own=own):
        by_channel.setdefault(request.reply_address.channel, request.reply_address)
    return tuple(by_channel.values())


def find_reply_channel_requests(
    folded: str, original: str, *, sender: ContactPoint | None = None, region: str = "FR", own: Collection[str] = ()
) -> Iterator[ReplyChannelRequest]:
    """Every request with a valid address, in the order of the text.

    Shape:  `folded` is `original` through `fold_line`, its lines joined by spaces.
    """
    patterns = (_ANSWER_BY_CHANNEL, _CHANNEL_VERB_WITH_ADDRESS, _ANSWER_AT_MAIL)
    matches = [match for pattern in patterns for match in pattern.finditer(folded)]
    lower_case = original.lower()
    for match in sorted(matches, key=re.Match.start):
        typed = match["number"] or match["mail"] or ""
        # Folding takes the accents off an address, and then it is somebody else's.
        if not _is_request(folded, match) or ("@" in typed and typed not in lower_case):
            continue
        channel = _requested_channel(match)
        address = _normalize_address(channel, typed, sender, region)
        if address and address not in own:
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


def _is_request(folded: str, match: re.Match[str]) -> bool:
    """Whether the writer asks for it, now and for themselves: not « on m'a dit de… », « merci de ne plus… », “my son can…”."""
    start = match.start()
    if _quotes_before(folded, start):
        return False
    before = folded[max(0, start - _CLAUSE_WINDOW) : start]
    last = _CLAUSE_END.split(before)[-1]
    if _is_reported(folded, start):
        return False
    clause = _INVITATION.sub("", last)
    is_elliptic = " mais par " in match[0]  # « ne pas me répondre par mail mais par SMS »
    if (not is_elliptic and _NEGATION.search(clause)) or _TOLD.search(clause + match[0].split(" ")[0]):
        return False
    return not _INFINITIVE.match(match[0]) or bool(_ASKS_ME.search(before))


def _is_reported(folded: str, start: int) -> bool:
    """Whether the place is in a passage that follows a colon after words that tell what somebody else said or wrote.

    The passage ends with its closing quotation mark, else with its paragraph: nothing says which sentence is the writer's again.
    """
    before = folded[max(0, start - _PASSAGE_WINDOW) : start]
    colons = list(_PASSAGE_START.finditer(before))[-_MOST_COLONS:]
    return any(
        _tells_of_others(before[: colon.start()]) and not _PASSAGE_END.search(before, colon.end()) for colon in colons
    )


def _tells_of_others(said: str) -> bool:
    clause = _SENTENCE_END.split(said[-_CLAUSE_WINDOW:])[-1]
    is_told = bool(_REPORTS.search(clause)) and not _FIRST_PERSON.search(clause)
    return is_told or bool(_RECEIVED.search(clause))


def _quotes_before(folded: str, start: int) -> bool:
    """Whether the place stands inside a quotation; straight marks count within the paragraph."""
    paragraph = folded[max(0, start - _PASSAGE_WINDOW) : start].rpartition("  ")[2]
    return paragraph.count('"') % 2 == 1 or any(
        folded.rfind(opening, 0, start) > folded.rfind(closing, 0, start) for opening, closing in ("«»", "“”")
    )


def _requested_channel(match: re.Match[str]) -> ReplyChannel:
    groups = match.groupdict()
    word, verb = groups.get("word"), groups.get("verb")
    if "word" not in groups:
        return "email"
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
