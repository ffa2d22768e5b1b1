"""Asks a citizen which of several conversations they mean, and reads their short answer. Pure; no I/O."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from parvis.common.contract.contact import TRIAGE, ContactPoint, ContactReceived, ConversationId, ReplyAddress
from parvis.common.contract.reply import ReplyPersonalData, ReplyRequested, make_reply_id
from parvis.common.text.sms_encoding import count_segments, simplify_typography, transliterate_to_gsm7
from parvis.common.town.models import TownConfig, localized
from parvis.common.town.template_variables import standard_variables
from parvis.common.town.templates import TemplateSet
from parvis.router.models.stored_rows import Conversation

MOST_CHOICES = 5
MOST_SEGMENTS = 2
OTHER: Literal["other"] = "other"
_LONGEST_ANSWER = 80
_LONGEST_LABEL = 40
_TEMPLATE = "question"
_NONE_OF_THEM = {"fr": "autre demande", "en": "another request"}

_OTHER_WORDS = frozenset(
    (  # noqa: SIM905
        "0 zero autre autres other others new nouveau nouvelle nouveaux another different differente differents aucun "
        "aucune none neither"
    ).split()
)
_NONE_WORDS = frozenset("aucun aucune none neither".split())  # noqa: SIM905
_BOTH = re.compile(r"\bles (?:deux|2)\b|\bboth\b|\btou(?:s|tes)\b|\ball\b")  # no choice among them
_ALSO_AN_ARTICLE = frozenset("un une one".split())  # noqa: SIM905
_NUMBERS = {
    word: number
    for number, words in enumerate(
        (
            "1 un une one premier premiere first 1er 1ere 1st",
            "2 deux two deuxieme second seconde 2e 2eme 2nd",
            "3 trois three troisieme third 3e 3eme 3rd",
            "4 quatre four quatrieme fourth 4e 4eme 4th",
            "5 cinq five cinquieme fifth 5e 5eme 5th",
        ),
        start=1,
    )
    for word in words.split()
}
# Filler words around a number.
_FILLER_WORDS = frozenset(
    (  # noqa: SIM905
        "le la les l the numero num no n nr nb number choix choice option reponse answer demande dossier request case c "
        "est it is its s pour for je veux dire i mean oui yes ok okay merci thanks thank you svp stp sil il vous te "
        "plait stp please beaucoup bien bonne bon journee soiree cordialement bises many nice day bonjour bonsoir hello hi concerne about en cours celui celle ce sera mon ma my of them de ces "
        "demandes"
    ).split()
)
_NEW_REQUEST_PREFIXES = (
    "nouvelle demande",
    "autre demande",
    "nouveau sujet",
    "autre sujet",
    "new request",
    "another request",
    "new subject",
)


@dataclass(frozen=True)
class ClarificationTimeout:
    """How long to wait for an answer. Only daytime in the town's time zone counts."""

    answer_within: timedelta = timedelta(hours=2)
    day_begins: time = time(8)
    day_ends: time = time(20)


def ask_which_conversation(
    contact: ContactReceived,
    candidates: Sequence[Conversation],
    town_config: TownConfig,
    templates: TemplateSet,
    *,
    language: str | None,
    at: datetime,
) -> ReplyRequested:
    """Ask the sender of a text message which conversation they mean: number N is the Nth candidate, 0 is none of them.

    Gives: at most two SMS segments with the town's template, if it leaves room for the references; no text of the citizen.
    Retry: the same contact gives the same reply id.
    """
    point, spoken = contact.personal.from_, town_config.town.supported_language(language)
    return ReplyRequested(
        reply_id=make_reply_id("question", contact.contact_id),
        conversation_id=ConversationId(str(candidates[0].id)),
        reference=candidates[0].reference,
        kind="question",
        department=TRIAGE,
        channel_of_contact=contact.channel,
        template=_TEMPLATE,
        language=spoken,
        legal=False,
        send_at=at,
        requested_at=at,
        requested_by="router",
        sources=contact.sources,
        personal=ReplyPersonalData(
            contact_points=(ContactPoint(kind=point.kind, value=point.value),) if point else (),
            # On the contact's own channel, where a number can be sent back at once, whatever the stated preference.
            stated=(ReplyAddress(channel=contact.channel, address=point.value),) if point else (),
            text=list_choices(candidates, town_config, templates, spoken),
        ),
    )


def list_choices(
    candidates: Sequence[Conversation], town_config: TownConfig, templates: TemplateSet, language: str
) -> str:
    """The numbered list, with labels as long as two segments allow."""
    template_text = _render_empty_template(candidates[0], town_config, templates, language)
    shown = candidates[:MOST_CHOICES]
    labels = [conversation_label(conversation, town_config, language) for conversation in shown]
    shorter = [
        [_clip(transliterate_to_gsm7(label), length) for label in labels] for length in range(_LONGEST_LABEL, 2, -1)
    ]
    attempts = [labels, *shorter, ["" for _ in labels]]
    lists = [_format_list(shown, shortened, town_config, language) for shortened in attempts]
    return next(
        (text for text in lists if count_segments(simplify_typography(template_text + text))[1] <= MOST_SEGMENTS),
        lists[-1],
    )


def conversation_label(conversation: Conversation, town_config: TownConfig, language: str) -> str:
    """The conversation's label for its citizen: its procedure, else its department; never their own text."""
    procedure = town_config.procedure(conversation.procedure)
    department = town_config.departments[town_config.current_department(conversation.department)]
    return localized(procedure.title if procedure else department.name, language)


def parse_answer(text: str, count: int) -> int | Literal["other"] | None:
    """The choice that a text names: 1 to `count`, or `other`; None if it is no answer.

    “2”, “2.”, “le 2”, “n° 2 svp”, “deux”, “the second one”, “autre”, “none of them”. “2 enfants à inscrire” is no answer, nor is “1 et 2”.
    """
    if len(text) > _LONGEST_ANSWER:
        return None
    normalized = _normalize(text)
    words = [word for word in normalized.split() if word not in _FILLER_WORDS]
    if _NONE_WORDS & set(words):
        return OTHER
    if _BOTH.search(normalized):
        return None
    significant = [word for word in words if word not in _ALSO_AN_ARTICLE] or words  # une autre, the second one
    meanings = {_meaning(word) for word in significant}
    if len(meanings) != 1:
        return None
    (choice,) = meanings
    return choice if choice == OTHER or (isinstance(choice, int) and 1 <= choice <= min(count, MOST_CHOICES)) else None


def asks_for_new_conversation(text: str) -> bool:
    """Whether a message declares itself a new request: “Nouvelle demande : …”."""
    return _normalize(text[:_LONGEST_ANSWER]).startswith(_NEW_REQUEST_PREFIXES)


def answer_deadline(asked_at: datetime, policy: ClarificationTimeout, zone: ZoneInfo) -> datetime:
    """The deadline for an answer. Only the town's daytime counts: a citizen asked at night may answer in the morning."""
    remaining, local = policy.answer_within, asked_at.astimezone(zone)
    if policy.day_begins >= policy.day_ends:
        return asked_at + remaining
    day = local.date()
    while True:
        opens = datetime.combine(day, policy.day_begins, zone).astimezone(UTC)
        ends = datetime.combine(day, policy.day_ends, zone).astimezone(UTC)
        start = max(asked_at, opens)
        if start < ends:
            if start + remaining <= ends:
                return start + remaining
            remaining -= ends - start
        day += timedelta(days=1)


def _render_empty_template(
    conversation: Conversation, town_config: TownConfig, templates: TemplateSet, language: str
) -> str:
    """The template rendered without the list, to measure how much it adds."""
    variables = standard_variables(town_config, department=TRIAGE, language=language, reference=conversation.reference)
    return templates.find(_TEMPLATE, language, "sms").render(variables | {"text": ""}).text


def _format_list(shown: Sequence[Conversation], labels: Sequence[str], town_config: TownConfig, language: str) -> str:
    zone = ZoneInfo(town_config.town.time_zone)
    lines = [
        f"{number}. {label}{', ' if label else ''}{_format_day(conversation.opened_at, zone, language)}, {conversation.reference}"
        for number, (conversation, label) in enumerate(zip(shown, labels, strict=True), start=1)
    ]
    return "\n".join([*lines, f"0. {_NONE_OF_THEM.get(language, _NONE_OF_THEM['fr'])}"])


def _format_day(instant: datetime, zone: ZoneInfo, language: str) -> str:
    local = instant.astimezone(zone)
    return local.strftime("%d %b" if language == "en" else "%d/%m")


def _clip(label: str, length: int) -> str:
    return label if len(label) <= length else f"{label[: length - 1].rstrip()}."


def _normalize(text: str) -> str:
    """Remove case, accents, punctuation and emoji; turn number symbols into digits: ② and 2️⃣ become 2."""
    decomposed = unicodedata.normalize("NFKD", text.replace("°", " ").replace("º", " ").casefold())
    characters = (c if c.isalnum() else "" if unicodedata.combining(c) or c == "\ufe0f" else " " for c in decomposed)
    return " ".join("".join(characters).split())


def _meaning(word: str) -> int | Literal["other"] | None:
    if word in _OTHER_WORDS:
        return OTHER
    if word.isdecimal():
        number = int(word)
        return OTHER if number == 0 else number
    return _NUMBERS.get(word)
