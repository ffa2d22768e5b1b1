"""Cases in and out of PostgreSQL."""

from parvis.desk.store.counter import Counter
from parvis.desk.store.reading import (
    Key,
    Queue,
    QueueRow,
    case_of,
    check,
    counter_contact_of,
    counts,
    file_of,
    find_reference,
    queue,
)
from parvis.desk.store.schema import outbox
from parvis.desk.store.working import Cases, NotHere
from parvis.desk.store.writing import (
    add,
    contacts_of,
    keep_cases,
    known_contacts,
    known_deliveries,
    known_placements,
    lock_cases,
    open_cases,
    place,
)

__all__ = [
    "Cases",
    "Counter",
    "Key",
    "NotHere",
    "Queue",
    "QueueRow",
    "add",
    "case_of",
    "check",
    "contacts_of",
    "counter_contact_of",
    "counts",
    "file_of",
    "find_reference",
    "keep_cases",
    "known_contacts",
    "known_deliveries",
    "known_placements",
    "lock_cases",
    "open_cases",
    "outbox",
    "place",
    "queue",
]
