"""A contact and what is known in, the department and everything that follows from it out. Pure; no I/O."""

from parvis.router.decide.classification import (
    ClassifierOutput,
    Prediction,
    apply_prediction,
    is_classifiable,
    text_to_classify,
)
from parvis.router.decide.clocks import Calendar, Due
from parvis.router.decide.conversation import (
    Held,
    Known,
    Place,
    Windows,
    find,
    quoted_by,
    uuid_of,
    waiting_key,
)
from parvis.router.decide.department import Decision, decide
from parvis.router.decide.link import link, refuse_link, why_not_linked
from parvis.router.decide.marks import Marks, marks_of
from parvis.router.decide.notices import moved, receipt, registration
from parvis.router.decide.opening import names_another, opening
from parvis.router.decide.past import MOST_CONTACTS, Past, came_of, moved_in_by, past_of, read_last
from parvis.router.decide.placing import Placed, Placing, place, place_given_up, place_unanswered
from parvis.router.decide.question import Asking
from parvis.router.decide.split import Split, made_by, moving, refuse_split, split, why_not_split
from parvis.router.decide.transfer import left, refuse_transfer, transfer, why_not_transferred
from parvis.router.decide.wishes import Wish, other_key, wish_key

__all__ = [
    "MOST_CONTACTS",
    "Asking",
    "Calendar",
    "ClassifierOutput",
    "Decision",
    "Due",
    "Held",
    "Known",
    "Marks",
    "Past",
    "Place",
    "Placed",
    "Placing",
    "Prediction",
    "Split",
    "Windows",
    "Wish",
    "apply_prediction",
    "came_of",
    "decide",
    "find",
    "is_classifiable",
    "left",
    "link",
    "made_by",
    "marks_of",
    "moved",
    "moved_in_by",
    "moving",
    "names_another",
    "opening",
    "other_key",
    "past_of",
    "place",
    "place_given_up",
    "place_unanswered",
    "quoted_by",
    "read_last",
    "receipt",
    "refuse_link",
    "refuse_split",
    "refuse_transfer",
    "registration",
    "split",
    "text_to_classify",
    "transfer",
    "uuid_of",
    "waiting_key",
    "why_not_linked",
    "why_not_split",
    "why_not_transferred",
    "wish_key",
]
