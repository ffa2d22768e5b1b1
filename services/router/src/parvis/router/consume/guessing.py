"""Arrivals of a batch in, the same with what a model guessed of those that no rule decided out."""

from collections.abc import Sequence

from msgspec.structs import replace

from parvis.common.town.models import TownConfig
from parvis.router.consume.contact_reading import IncomingContact
from parvis.router.decide.guessing import is_guessable, with_guess, words_of
from parvis.router.read import Guesser


async def with_guesses(
    arrivals: Sequence[IncomingContact], guesser: Guesser | None, town_config: TownConfig
) -> Sequence[IncomingContact]:
    """Ask the model, where there is one, about contacts that only people would sort.

    Needs: no transaction open: it may take two seconds.
    """
    if guesser is None or not guesser.is_awake:
        return arrivals
    asked = {number: one for number, one in enumerate(arrivals) if is_guessable(one.contact, one.decision)}
    if not asked:
        return arrivals
    guesses = await guesser([words_of(one.contact) for one in asked.values()])
    told = list(arrivals)
    for (number, arrival), guess in zip(asked.items(), guesses, strict=True):
        told[number] = replace(arrival, decision=with_guess(arrival.decision, guess, town_config))
    return told
