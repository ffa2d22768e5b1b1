"""What the rules said and a model's guesses in, the decision that counts out. Pure; never raises, whatever the model says."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isnan

from msgspec.structs import replace

from parvis.common.contract.contact import TRIAGE, ContactReceived
from parvis.common.contract.routing.decisions import RunnerUp
from parvis.common.town.models import TownConfig, localized
from parvis.router.decide import fast_models
from parvis.router.decide.department import Decision

UNDECIDED = "default"
MODEL = "model"
_MOST_RUNNERS_UP = 3
_LONGEST_TEXT = 4000  # the model reads less


@dataclass(frozen=True, slots=True)
class Guess:
    """A department, and how sure the model is of it, from 0 to 1."""

    department: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Guesses:
    """What one model says about one text, the likeliest first. From `threshold` on it is sure enough to decide."""

    model: str
    threshold: float
    best: Sequence[Guess]


def is_guessable(contact: ContactReceived, decision: Decision) -> bool:
    """Whether a model may be asked: no rule, no form and no mailbox decided, and a person wrote something."""
    return decision.rule == UNDECIDED and contact.machine is None and bool(words_of(contact).strip())


def words_of(contact: ContactReceived) -> str:
    """What a model may read of a contact: what the citizen wrote, the subject first."""
    personal = contact.personal
    said = (personal.subject, personal.text, *personal.answers.values())
    return "\n".join(part for part in said if part)[:_LONGEST_TEXT]


def with_guess(decision: Decision, guesses: Guesses | None, town_config: TownConfig) -> Decision:
    """The model's department where it is sure enough; else triage, with its three best guesses for the agent.

    Gives: the decision as it was where a rule decided it, and where there is no guess.
    """
    if guesses is None or decision.rule != UNDECIDED:
        return decision
    likely = list(_current(guesses, town_config))
    if not likely:
        return replace(decision, model=guesses.model)
    if likely[0].department != TRIAGE and likely[0].confidence >= guesses.threshold:
        return _decided(decision, guesses, likely, town_config)
    names = [town_config.departments[guess.department].name for guess in likely[:_MOST_RUNNERS_UP]]
    return replace(
        decision,
        model=guesses.model,
        runners_up=_runners_up(likely),
        reason={
            "fr": "Rien ne désigne un service avec assez de certitude : une personne lit ce message. Service possible : "
            + ", ".join(localized(name, "fr") for name in names)
            + ".",
            "en": "Nothing points to a department surely enough: a person reads this message. It may be for: "
            + ", ".join(localized(name, "en") for name in names)
            + ".",
        },
    )


def _decided(decision: Decision, guesses: Guesses, likely: Sequence[Guess], town_config: TownConfig) -> Decision:
    best, name = likely[0], town_config.departments[likely[0].department].name
    return replace(
        decision,
        department=best.department,
        rule=MODEL,
        model=guesses.model,
        matched=(MODEL,),
        confidence=round(best.confidence, 2),
        runners_up=_runners_up(likely[1:]),
        reason={
            "fr": f"Ce message ressemble à ceux que traite le service : {localized(name, 'fr')}.",
            "en": f"This message is like those that this department answers: {localized(name, 'en')}.",
        },
    )


def _runners_up(likely: Sequence[Guess]) -> tuple[RunnerUp, ...]:
    return tuple(
        fast_models.RunnerUp(department=guess.department, rule=MODEL, confidence=round(guess.confidence, 2))
        for guess in likely
        if guess.department != TRIAGE
    )[:_MOST_RUNNERS_UP]


def _current(guesses: Guesses, town_config: TownConfig) -> Iterator[Guess]:
    """The departments that exist, each once, a retired one as its successor with what both are worth; the likeliest first."""
    worth: dict[str, float] = {}
    for guess in guesses.best:
        if town_config.department(guess.department) and not isnan(guess.confidence):
            slug = town_config.current_department(guess.department)
            worth[slug] = min(1.0, max(0.0, worth.get(slug, 0.0) + guess.confidence))
    for slug in sorted(worth, key=lambda slug: (-worth[slug], slug)):
        yield Guess(slug, worth[slug])
