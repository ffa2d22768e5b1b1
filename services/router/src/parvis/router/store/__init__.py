"""What the router keeps in PostgreSQL: decisions, conversations, cases."""

from parvis.router.store.cases import follow_case
from parvis.router.store.conversations import lock_conversations, lock_known, record_names
from parvis.router.store.decisions import Overtaken, decisions_of, is_migrated, record_decisions
from parvis.router.store.opening import Opening, open_conversations
from parvis.router.store.past import named, read_past, rename

__all__ = [
    "Opening",
    "Overtaken",
    "decisions_of",
    "follow_case",
    "is_migrated",
    "lock_conversations",
    "lock_known",
    "named",
    "open_conversations",
    "read_past",
    "record_decisions",
    "record_names",
    "rename",
]
