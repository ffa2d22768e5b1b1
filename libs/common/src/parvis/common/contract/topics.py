"""Lists every Kafka topic with its key, events, retention and size; `parvis topics apply` creates them. Data only; no I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.delivery import DeliveryReported, DeliveryUpdated
from parvis.common.contract.event_base import Event
from parvis.common.contract.preference import PreferenceChanged
from parvis.common.contract.reply import ReplyRequested
from parvis.common.contract.routing.decisions import CaseUpdated, ContactRouted
from parvis.common.contract.routing.split_and_link import (
    ConversationLinked,
    ConversationOpened,
    ConversationSplit,
    ConversationUnlinked,
    LinkRefused,
    LinkRequested,
    SplitRefused,
    SplitRequested,
)
from parvis.common.contract.routing.transfer import (
    ConversationArrived,
    ConversationLeft,
    TransferRefused,
    TransferRequested,
)

PARTITIONS = 12
_SYSTEMS = "departments' own systems"


@dataclass(frozen=True)
class Topic:
    """One topic. `name` has no prefix; `full_name` adds it. A town has its own prefix, as it has its own database."""

    name: str
    key: str
    types: tuple[type[Event], ...]
    written_by: Sequence[str]
    """Services by name, and others in words; `parvis topics acls` makes the services' rights of it."""
    read_by: Sequence[str]
    retention: timedelta | None = timedelta(days=30)
    compacted: bool = False
    largest_record_bytes: int = 128 * 1024
    partitions: int = PARTITIONS

    def full_name(self, prefix: str) -> str:
        return f"{prefix}.{self.name}"


CONTACT_RECEIVED = Topic(
    name="contact.received",
    key="contact-point hash, else contact id",
    types=(ContactReceived,),
    written_by=("ingest-sms", "ingest-email", "ingest-web", "ingest-postal", "desk"),
    read_by=("router", "ingest-sms"),  # ingest-sms looks for what its provider has and Kafka has not
)
TRANSFER_REQUESTED = Topic(
    name="transfer.requested",
    key="conversation id",
    types=(TransferRequested, SplitRequested, LinkRequested),
    written_by=("desk", _SYSTEMS),
    read_by=("router",),
)
REPLY_REQUESTED = Topic(
    name="reply.requested",
    key="conversation id",
    types=(ReplyRequested,),
    written_by=("router", "desk", _SYSTEMS),
    read_by=("notifier",),
)
DELIVERY_REPORTED = Topic(
    name="delivery.reported",
    key="reply id",
    types=(DeliveryReported,),
    written_by=("ingest-sms", "ingest-email", "ingest-postal"),
    read_by=("notifier",),
)
DELIVERY_UPDATED = Topic(
    name="delivery.updated",
    key="conversation id",
    types=(DeliveryUpdated,),
    written_by=("notifier",),
    read_by=("desk", "notifier"),  # the notifier rebuilds its ledger from it
    retention=timedelta(days=365),
)
CASE_UPDATED = Topic(
    name="case.updated",
    key="conversation id",
    types=(CaseUpdated,),
    written_by=("desk",),
    read_by=("router",),
    retention=None,
    compacted=True,
)
PREFERENCE_CHANGED = Topic(
    name="preference.changed",
    key="contact-point hash",
    types=(PreferenceChanged,),
    written_by=("ingest-sms", "notifier"),
    read_by=("notifier", "ingest-sms"),
    retention=None,
)
FIXED = (
    CONTACT_RECEIVED,
    TRANSFER_REQUESTED,
    REPLY_REQUESTED,
    DELIVERY_REPORTED,
    DELIVERY_UPDATED,
    CASE_UPDATED,
    PREFERENCE_CHANGED,
)
CONSUMERS = ("router", "notifier", "desk")


def department_topic(slug: str) -> Topic:
    """The queue of one department."""
    return Topic(
        name=f"department.{slug}",
        key="conversation id",
        types=(
            ContactRouted,
            ConversationArrived,
            ConversationLeft,
            TransferRefused,
            ConversationSplit,
            ConversationOpened,
            SplitRefused,
            ConversationLinked,
            ConversationUnlinked,
            LinkRefused,
        ),
        written_by=("router",),
        read_by=("desk", "the department's own consumers"),
        largest_record_bytes=160 * 1024,  # a contact of the largest size and its routing
    )


def dead_letter_topic(service: str) -> Topic:
    """Where a consumer puts records that it cannot handle, unchanged."""
    return Topic(
        name=f"dead-letter.{service}",
        key="the original's",
        types=(),
        written_by=(service,),
        read_by=("operator",),
        retention=timedelta(days=365),
        largest_record_bytes=2 * 1024 * 1024,
        partitions=3,
    )


def all_topics(departments: list[str]) -> list[Topic]:
    """Every topic of a town with these departments."""
    return [*FIXED, *(department_topic(slug) for slug in departments), *(dead_letter_topic(name) for name in CONSUMERS)]


def largest_record_bytes(full_name: str) -> int:
    """The largest record that a topic takes, by its name with the prefix; departments' topics are all alike."""
    known = (topic.largest_record_bytes for topic in FIXED if full_name.endswith(f".{topic.name}"))
    return next(known, department_topic("any").largest_record_bytes)
