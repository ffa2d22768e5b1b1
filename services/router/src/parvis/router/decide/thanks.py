"""Recognises a contact that says nothing but thanks, in French or English. Pure; no I/O."""

import re
from collections.abc import Iterator, Sequence

from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.references import find_references
from parvis.common.text.folding import strip_accents
from parvis.router.decide.department import Decision, quoted_of_others
from parvis.router.decide.thread_keys import is_reply_subject

_LONGEST = 400  # characters: a longer text is read by a person
_MOST_NAMES = 3  # words of a name after « Cordialement » or « Madame »
_THANKS = frozenset(
    "merci mercis remercie remercions remerciement remerciements mrc thanks thank thankyou thx cheers appreciated grateful 🙏".split()  # noqa: SIM905
)
_SIGN_OFFS = frozenset(
    "cordialement cdt cdlt sincerement respectueusement amicalement salutations distinguees sentiments regards sincerely".split()  # noqa: SIM905
)
_CIVILITIES = frozenset("m mr mme mlle mrs ms madame monsieur mademoiselle".split())  # noqa: SIM905
# Words that ask for nothing, tell nothing and deny nothing: no « de » (« merci de votre retour » asks), « oui », « mais », « pas », “please”.
_COURTESY = frozenset(
    (  # noqa: SIM905
        "beaucoup bcp bien tres vraiment infiniment grand grands immense enorme mille encore chaleureusement fois tant "
        "tout tous toute toutes "
        "je j nous vous votre vos te t toi ton on a au aux en et pour pr par la le les l du des "
        "reponse reponses aide travail efficacite rapidite reactivite gentillesse patience ecoute accueil attention "
        "disponibilite professionnalisme diligence conseils explications precisions temps rapide rapides precieuse precieux "
        "utile claire efficace efficaces aimable gentil gentille "
        "bonjour bonsoir bjr bsr salut coucou messieurs mesdames equipe equipes "
        "service services mairie agent agents bonne bon belle excellente journee soiree fin semaine weekend week end "
        "apres midi fete fetes continuation souhaite souhaitons ok okay c est cest ce parfait parfaite super genial excellent "
        "nickel impeccable top formidable recu note entendu ville "
        "s u for your you so very much many lots lot to all team help reply response answer quick quickly prompt fast kind "
        "kindly kindness great good perfect wonderful lovely brilliant nice day evening weekend best "
        "yours again and i we are am really truly appreciate that it is was the this hello hi dear sir madam everyone council "
        "town hall staff work job well support assistance time efficient helpful everything sorted received noted "
        "👍 👏 👌 🙂 😊 😀 😃 😄 ☺ 🤗 💐 🎉 🙌 ✨ ❤ 💙"
    ).split()
)
# What thanks or greets with a word that may ask elsewhere: « merci d'une réponse » and « merci répare » ask, « d'accord » does not.
_FIXED_PHRASES = re.compile(
    r"\bun (?=(?:tres )?(?:grand|immense|enorme|bon|excellent)\b)|\bune (?=(?:tres )?(?:bonne|belle|excellente)\b)"
    r"|\bd['’ ]accord\b|\b(?:au revoir|a bientot|bien a vous|de tout coeur)\b"
    r"|\bde (?=votre (?:aide|accueil|gentillesse|ecoute)\b)|\b(?:equipes?|fin) de (?=(?:(?:la|l['’]) ?)?(?:mairie|ville|journee|soiree|semaine)\b)"
    r"|\b(?:c['’ ]|tout |probleme )est (?:bien )?(?:fait|regle|repare|resolu)\b"
    r"|\bwith (?=(?:kind|best)\b)|\bhave (?=an? (?:very )?(?:nice|good|great|lovely|wonderful)\b)|\bwell done\b|[:;]-?\)",
    re.IGNORECASE,
)
# A text in lower case without one of these has no thanks and costs no more; re.IGNORECASE would take five times as long.
_HINT = re.compile("mer+c[iı]|mrc|thank|thx|cheer|apprec|grateful|🙏")
_REPEATED = re.compile(r"([a-z])\1{2,}", re.IGNORECASE)  # « merciiii »
_TOKEN = re.compile(r"\w+|[^\w\s]")
_MEANINGLESS = frozenset(".,;:!…-–—'’\"«»*_~/\ufe0f\u200d🏻🏼🏽🏾🏿")


def asks_nothing(contact: ContactReceived, decision: Decision) -> bool:
    """Whether a contact says nothing but thanks, and the town's rules see no danger in it, its subject or what it quotes."""
    return decision.urgency != "immediate" and is_only_thanks(contact)


def is_only_thanks(contact: ContactReceived) -> bool:
    """Whether a person's contact says nothing but thanks, so that nobody has to act on it; in doubt it does not.

    Not: a form, a file, words of others in a quotation, a subject of its own, a forged sender, a question.
    """
    personal = contact.personal
    if contact.machine or contact.attachments or contact.unreadable or contact.text_overflow or personal.answers:
        return False
    if contact.contact_point_hash is None or contact.sender.dmarc == "fail" or quoted_of_others(contact):
        return False
    subject, names = personal.subject, personal.display_name
    if not says_only_thanks(personal.text or subject, names):
        return False
    return not subject or is_reply_subject(subject) or says_only_thanks(subject, names)


def says_only_thanks(text: str, names: str = "") -> bool:
    """Whether every word of a text is one of courtesy, and one of them thanks. `names`: the writer's own, which they may sign with."""
    if len(text) > _LONGEST or not _HINT.search(text.lower()):
        return False
    for reference in find_references(text):
        text = text.replace(reference, " ")
    plain = _REPEATED.sub(r"\1", _FIXED_PHRASES.sub(" ", strip_accents(text)))
    own = {word.casefold() for word in _TOKEN.findall(strip_accents(names))}
    tokens = [token for token in _TOKEN.findall(plain) if token not in _MEANINGLESS]
    said = {word for word in _without_names(tokens) if word not in own}
    return not _THANKS.isdisjoint(said) and said <= _THANKS | _COURTESY | _SIGN_OFFS | _CIVILITIES


def _without_names(tokens: Sequence[str]) -> Iterator[str]:
    """The words in lower case, without the few in title case that follow « Madame » or « Cordialement »."""
    names_left = 0
    for token in tokens:
        word = token.casefold()
        if word in _CIVILITIES or word in _SIGN_OFFS:
            names_left = _MOST_NAMES
        elif names_left and token.istitle() and word not in _THANKS:
            names_left -= 1
            continue
        else:
            names_left = 0
        yield word
