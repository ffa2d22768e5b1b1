"""What the router keeps in PostgreSQL: decisions, conversations, cases, what waits."""

from parvis.router.store.cases import record_case_update
from parvis.router.store.conversation_lookup import lock_candidates, read_last_questions
from parvis.router.store.conversations import lock_conversations, record_references
from parvis.router.store.decisions import ConcurrentUpdate, find_decisions, insert_decisions, is_migrated
from parvis.router.store.history import find_by_references, read_history, reassign_references
from parvis.router.store.open_conversations import NewConversation, open_conversations
from parvis.router.store.waiting_queue import (
    count_waiting,
    find_due,
    find_waiting_about,
    insert_waiting,
    lock_due,
    lock_waiting_behind,
    mark_assigned,
    record_questions,
    record_told,
    to_tell,
    update_waiting,
)

__all__ = [
    "ConcurrentUpdate",
    "NewConversation",
    "count_waiting",
    "find_by_references",
    "find_decisions",
    "find_due",
    "find_waiting_about",
    "insert_decisions",
    "insert_waiting",
    "is_migrated",
    "lock_candidates",
    "lock_conversations",
    "lock_due",
    "lock_waiting_behind",
    "mark_assigned",
    "open_conversations",
    "read_history",
    "read_last_questions",
    "reassign_references",
    "record_case_update",
    "record_questions",
    "record_references",
    "record_told",
    "to_tell",
    "update_waiting",
]
