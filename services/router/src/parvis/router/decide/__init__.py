"""A contact and what is known in, the department and everything that follows from it out. Pure; no I/O."""

from parvis.router.decide.clocks import Calendar, Due
from parvis.router.decide.conversation import THREADLESS, Known, Windows, quoted_by, resolve, uuid_of
from parvis.router.decide.department import Decision, decide
from parvis.router.decide.guessing import Guess, Guesses, is_guessable, with_guess, words_of
from parvis.router.decide.notices import receipt, registration
from parvis.router.decide.past import Past, came_of, moved_in_by, past_of
from parvis.router.decide.placing import Placed, Placing, place
from parvis.router.decide.transfer import arrived, transfer, transfer_key

__all__ = [
    "THREADLESS",
    "Calendar",
    "Decision",
    "Due",
    "Guess",
    "Guesses",
    "Known",
    "Past",
    "Placed",
    "Placing",
    "Windows",
    "arrived",
    "came_of",
    "decide",
    "is_guessable",
    "moved_in_by",
    "past_of",
    "place",
    "quoted_by",
    "receipt",
    "registration",
    "resolve",
    "transfer",
    "transfer_key",
    "uuid_of",
    "with_guess",
    "words_of",
]
