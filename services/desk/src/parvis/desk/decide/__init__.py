"""A case and what happens to it in, the changed case with its rows and events out. Pure; no I/O."""

from parvis.desk.decide.answers import in_reply_to, language_for, target_of
from parvis.desk.decide.asking import Linking, Splitting, link, split
from parvis.desk.decide.coming import arrived_or_left, delivered, received, refused
from parvis.desk.decide.counter import Visit, contact_at_counter, original_of
from parvis.desk.decide.dividing import division_refused, linked, opened, refilled, split_off
from parvis.desk.decide.saying import case_updated
from parvis.desk.decide.timeline import Entry, timeline
from parvis.desk.decide.working import Answer, Words, call, close, release, reopen, reply, take, transfer

__all__ = [
    "Answer",
    "Entry",
    "Linking",
    "Splitting",
    "Visit",
    "Words",
    "arrived_or_left",
    "call",
    "case_updated",
    "close",
    "contact_at_counter",
    "delivered",
    "division_refused",
    "in_reply_to",
    "language_for",
    "link",
    "linked",
    "opened",
    "original_of",
    "received",
    "refilled",
    "refused",
    "release",
    "reopen",
    "reply",
    "split",
    "split_off",
    "take",
    "target_of",
    "timeline",
    "transfer",
]
