"""A contact and what is known in, the department and everything that follows from it out. Pure; no I/O."""

from parvis.router.decide.clocks import Calendar, Due
from parvis.router.decide.conversation import THREADLESS, Known, Windows, quoted_by, resolve, uuid_of
from parvis.router.decide.department import Decision, decide
from parvis.router.decide.guessing import Guess, Guesses, is_guessable, with_guess, words_of
from parvis.router.decide.link import link, refuse_link, why_not_linked
from parvis.router.decide.notices import moved, receipt, registration
from parvis.router.decide.opening import names_another, opening
from parvis.router.decide.past import MOST_CONTACTS, Past, came_of, moved_in_by, past_of, read_last
from parvis.router.decide.placing import Placed, Placing, place
from parvis.router.decide.split import Split, made_by, moving, refuse_split, split, why_not_split
from parvis.router.decide.transfer import left, refuse_transfer, transfer, why_not_transferred
from parvis.router.decide.wishes import Wish, other_key, transfer_key, wish_key

__all__ = [
    "MOST_CONTACTS",
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
    "Split",
    "Windows",
    "Wish",
    "came_of",
    "decide",
    "is_guessable",
    "left",
    "link",
    "made_by",
    "moved",
    "moved_in_by",
    "moving",
    "names_another",
    "opening",
    "other_key",
    "past_of",
    "place",
    "quoted_by",
    "read_last",
    "receipt",
    "refuse_link",
    "refuse_split",
    "refuse_transfer",
    "registration",
    "resolve",
    "split",
    "transfer",
    "transfer_key",
    "uuid_of",
    "why_not_linked",
    "why_not_split",
    "why_not_transferred",
    "wish_key",
    "with_guess",
    "words_of",
]
