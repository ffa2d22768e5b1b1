"""What the router keeps in PostgreSQL: decisions, conversations, cases, what waits."""

from parvis.router.store.cases import follow_case
from parvis.router.store.conversation_lookup import learn_asked, lock_known
from parvis.router.store.conversations import lock_conversations, record_names
from parvis.router.store.decisions import Overtaken, decisions_of, is_migrated, record_decisions
from parvis.router.store.history import named, read_past, rename
from parvis.router.store.open_conversations import Opening, open_conversations
from parvis.router.store.waiting_queue import (
    change,
    due_by,
    hold,
    lock_due,
    record_asked,
    record_placed,
    record_told,
    standing,
    to_tell,
    waiting_about,
    waiting_behind,
)

__all__ = [
    "Opening",
    "Overtaken",
    "change",
    "decisions_of",
    "due_by",
    "follow_case",
    "hold",
    "is_migrated",
    "learn_asked",
    "lock_conversations",
    "lock_due",
    "lock_known",
    "named",
    "open_conversations",
    "read_past",
    "record_asked",
    "record_decisions",
    "record_names",
    "record_placed",
    "record_told",
    "rename",
    "standing",
    "to_tell",
    "waiting_about",
    "waiting_behind",
]
