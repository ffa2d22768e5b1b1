"""Decides the department of a contact by the town's rules, and gives the reason. Never raises, whatever the text; no I/O."""

import re
from datetime import date
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import replace

from parvis.common.contract.contact import TRIAGE, ContactReceived
from parvis.common.contract.references import find_references
from parvis.common.contract.routing.decisions import RunnerUp
from parvis.common.town.models import Department, Procedure, TownConfig, localized
from parvis.router.decide import msgspec_contract_types
from parvis.router.rules.facts import Facts, join_text
from parvis.router.rules.rule_set import RuleMatch, RuleSet
from parvis.router.rules.rules_schema import Urgency
from parvis.router.rules.term_patterns import fold_for_matching

WRITTEN_DOWN = "written-down"
_MOST_RUNNERS_UP = 3
_MOST_TAGS = 12
_LANGUAGES = ("fr", "en")
_POSTCODE = re.compile(r"\b([0-9]{5})[ ]{1,3}[^\W\d_]")  # before the name of a town
_LONGEST_ADDRESS = 1000
# Mean confidence of a scan's words. Pages of noise have 0.08, and eight of twenty-one seemed to speak of a danger; a bad scan has 0.6.
_NOISE = 0.3

# Confidence: a citizen's explicit choice beats words in the text, more words beat fewer. Agents see this figure.
_CHOSEN = 0.95
_HARD = 1.0
_ONE_TERM, _EACH_MORE_TERM, _MOST_BY_TERMS = 0.6, 0.1, 0.9
_CONTESTED = 0.15


class Decision(msgspec.Struct, frozen=True, gc=False):
    """The rules' decision about one contact, without regard to its conversation."""

    department: str
    procedure: str | None
    rule: str
    matched: tuple[str, ...]
    confidence: float
    runners_up: tuple[RunnerUp, ...]
    reason: dict[str, str]
    urgency: Urgency
    language: str | None
    rules_version: str = ""
    tags: tuple[str, ...] = ()
    model: str | None = None


def decide_department(
    contact: ContactReceived, rules: RuleSet, town_config: TownConfig, *, language: str | None = None
) -> Decision:
    """The department that gets this contact, and why.

    Order: the department in which an agent wrote the contact down, hard rules, the form's procedure, a department's own mailbox,
           rules by priority, triage.
    Gives: always a department that exists and is not retired.
    Needs: the town configuration that the rules were loaded for.
    """
    facts = facts_of(contact, town_config, rules, language=contact.language or language)
    decision = rules.decision_cache.get_or_compute(facts, lambda facts: _decide_uncached(facts, rules, town_config))
    stated = _stated_by_staff(contact, town_config)
    return _written_down(decision, stated, facts.procedure) if stated else decision


def _stated_by_staff(contact: ContactReceived, town_config: TownConfig) -> Department | None:
    """The department that an agent stated who saw or heard the person. None for reception, which leaves it to the rules."""
    if contact.sender.level != "staff" or contact.to == TRIAGE:
        return None
    stated = town_config.department(contact.to)
    return town_config.departments[town_config.current_department(stated.slug)] if stated else None


def _written_down(decision: Decision, department: Department, procedure: str | None) -> Decision:
    """Keep a contact where an agent wrote it down; what the rules say is a proposal, and its urgency and tags hold."""
    slug = department.slug
    proposed = msgspec_contract_types.RunnerUp(
        department=decision.department, rule=decision.rule, confidence=decision.confidence
    )
    others = [proposed] if decision.department not in (slug, TRIAGE) else []
    return replace(
        decision,
        department=slug,
        procedure=decision.procedure if procedure or decision.department == slug else None,
        rule=WRITTEN_DOWN,
        matched=(WRITTEN_DOWN,),
        confidence=_HARD,
        runners_up=(*others, *(other for other in decision.runners_up if other.department != slug))[:_MOST_RUNNERS_UP],
        reason=_sentences(
            f"Un agent a noté cette demande pour le service : {localized(department.name, 'fr')}.",
            f"An agent wrote this request down for the department: {localized(department.name, 'en')}.",
        ),
    )


def _decide_uncached(facts: Facts, rules: RuleSet, town_config: TownConfig) -> Decision:
    matches = rules.match(facts)
    return replace(_decide(facts, matches, town_config), rules_version=rules.version, tags=_tags(matches))


def _decide(facts: Facts, matches: list[RuleMatch], town_config: TownConfig) -> Decision:
    if matches and matches[0].rule.hard:  # hard ones come first
        return _by_rule(matches[0], matches, town_config, facts.language)
    chosen = _chosen(facts, matches, town_config)
    if chosen:
        return chosen
    if matches:
        return _by_rule(matches[0], matches, town_config, facts.language)
    return Decision(
        department=TRIAGE,
        procedure=None,
        rule="default",
        matched=(),
        confidence=0.0,
        runners_up=(),
        reason=_sentences(
            "Rien dans ce message ne désigne un service : une personne le lit.",
            "Nothing in this message points to a department: a person reads it.",
        ),
        urgency="normal",
        language=facts.language,
    )


def facts_of(contact: ContactReceived, town_config: TownConfig, rules: RuleSet, *, language: str | None) -> Facts:
    """The facts about a contact. Only facts that at least one rule uses are computed."""
    personal, asks = contact.personal, rules.used_facts
    text = join_text((personal.subject, personal.text, *personal.answers.values()))
    folded = fold_for_matching(text)
    beside = fold_for_matching(join_text((personal.signature, *quoted_of_others(contact))))
    return Facts(
        channel=contact.channel,
        to=contact.to,
        procedure=contact.procedure,
        language=language,
        machine_sent=contact.machine is not None,
        matched_terms=rules.find_terms(folded, with_errors=not _is_noise(contact)),
        beside_terms=rules.find_terms(beside),
        areas=rules.service_areas.find_areas(text, folded) if "area" in asks else (),
        day=_day(contact, town_config) if "day" in asks else date.min,
        sender_domain=_domain(contact) if "sender_domain" in asks else "",
        postcodes=_postcodes(contact) if "postcode" in asks else (),
        attachments=tuple([each.media_type for each in contact.attachments]) if "attachment" in asks else (),
    )


def _is_noise(contact: ContactReceived) -> bool:
    """Whether hardly a word of a scan was read, so that what resembles a word does so by chance."""
    return contact.ocr is not None and contact.ocr.confidence < _NOISE


def quoted_of_others(contact: ContactReceived) -> tuple[str, ...]:
    """What the sender quotes, unless it is our own mail: that carries our signed token, or a reference."""
    quoted = contact.personal.quoted
    return () if contact.thread.conversation_id or not quoted or find_references(quoted) else (quoted,)


def _day(contact: ContactReceived, town_config: TownConfig) -> date:
    return contact.received_at.astimezone(ZoneInfo(town_config.town.time_zone)).date()


def _domain(contact: ContactReceived) -> str:
    point = contact.personal.from_
    return point.value.rpartition("@")[2] if point and point.kind == "email" else ""


def _postcodes(contact: ContactReceived) -> tuple[str, ...]:
    point = contact.personal.from_
    addresses = [point.value] if point and point.kind == "post" else []
    written = (*addresses, *contact.personal.answers.values())
    return tuple(code for text in written for code in _POSTCODE.findall(text[:_LONGEST_ADDRESS]))


def _chosen(facts: Facts, matches: list[RuleMatch], town_config: TownConfig) -> Decision | None:
    """Decide by the citizen's explicit choice: a form, or a department's mailbox. An automatic message makes none."""
    procedure = town_config.procedure(facts.procedure)
    mailbox = None if facts.machine_sent or procedure else town_config.department_of_mailbox(facts.to)
    if procedure:
        department, rule, reason = procedure.department, "procedure", _of_procedure(procedure)
    elif mailbox:
        department, rule = town_config.current_department(mailbox.slug), "mailbox"
        reason = {
            "fr": f"Vous avez écrit à l'adresse du service : {localized(mailbox.name, 'fr')}.",
            "en": f"You wrote to the address of the department: {localized(mailbox.name, 'en')}.",
        }
    else:
        return None
    return Decision(
        department=department,
        procedure=procedure.slug if procedure else None,
        rule=rule,
        matched=(rule,),
        confidence=_CHOSEN,
        runners_up=_runners_up(matches, department),
        reason=reason,
        urgency=_most_urgent(matches),
        language=facts.language,
    )


def _most_urgent(matches: list[RuleMatch]) -> Urgency:
    stated = {match.rule.then.urgency for match in matches}
    return "immediate" if "immediate" in stated else "high" if "high" in stated else "normal"


def _tags(matches: list[RuleMatch]) -> tuple[str, ...]:
    """The tags of all matching rules, each once: a tag describes the contact, whichever department receives it."""
    return tuple(dict.fromkeys(tag for match in matches for tag in match.rule.then.tags))[:_MOST_TAGS]


def _by_rule(match: RuleMatch, matches: list[RuleMatch], town_config: TownConfig, language: str | None) -> Decision:
    if match.is_doubtful:
        return _by_people(matches, language)
    rule = match.rule
    runners_up = _runners_up(matches, rule.then.department)
    confidence = _HARD if rule.hard else max(0.0, _confidence(match) - (_CONTESTED if runners_up else 0))
    department = town_config.departments[rule.then.department]
    return Decision(
        department=rule.then.department,
        procedure=rule.then.procedure,
        rule=rule.id,
        matched=match.matched,
        confidence=round(confidence, 2),
        runners_up=runners_up,
        reason=rule.reason or _points_to(localized(department.name, "fr"), localized(department.name, "en")),
        urgency=rule.then.urgency,
        language=language,
    )


@lru_cache(maxsize=1024)
def _points_to(fr: str, en: str) -> dict[str, str]:
    return _sentences(
        f"Des mots de ce message désignent le service : {fr}.", f"Words in this message point to the department: {en}."
    )


def _by_people(matches: list[RuleMatch], language: str | None) -> Decision:
    """The place may lie in more than one area, so a person decides."""
    return Decision(
        department=TRIAGE,
        procedure=None,
        rule="place",
        matched=("area",),
        confidence=0.0,
        runners_up=_runners_up(matches, TRIAGE),
        reason=_sentences(
            "Le lieu dont parle ce message peut relever de plusieurs services : une personne le lit.",
            "The place in this message may belong to more than one department: a person reads it.",
        ),
        urgency=_most_urgent(matches),
        language=language,
    )


def _confidence(match: RuleMatch) -> float:
    if not match.terms:
        return _CHOSEN
    return min(_MOST_BY_TERMS, _ONE_TERM + _EACH_MORE_TERM * (match.terms - 1))


def _runners_up(matches: list[RuleMatch], department: str) -> tuple[RunnerUp, ...]:
    """The other departments that rules name, each once, the likeliest first."""
    best: dict[str, RunnerUp] = {}
    for match in matches:
        other = match.rule.then.department
        if other != department and other not in best:
            best[other] = msgspec_contract_types.RunnerUp(
                department=other, rule=match.rule.id, confidence=round(_confidence(match), 2)
            )
    return tuple(best.values())[:_MOST_RUNNERS_UP]


def _of_procedure(procedure: Procedure) -> dict[str, str]:
    return {
        "fr": f"Vous avez choisi : {localized(procedure.title, 'fr')}.",
        "en": f"You chose: {localized(procedure.title, 'en')}.",
    }


def _sentences(fr: str, en: str) -> dict[str, str]:
    return dict(zip(_LANGUAGES, (fr, en), strict=True))
