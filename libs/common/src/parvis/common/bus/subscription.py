"""Describes the topics that a service reads, and its consumer group."""

from collections.abc import Iterable
from dataclasses import dataclass

from parvis.common.bus.connection import Brokers, KafkaConnection
from parvis.common.contract.event_base import Event
from parvis.common.contract.topics import Topic, dead_letter_topic
from parvis.common.runtime.settings import SharedSettings


@dataclass(frozen=True, kw_only=True)
class Subscription:
    """A service's topics, event types and consumer group.

    Services build it with `from_settings`. The town's settings have no defaults here, so that none can be forgotten.
    """

    brokers: Brokers
    topic_prefix: str
    service: str
    topics: tuple[str, ...]
    """Full names, with the town's prefix."""
    types: tuple[type[Event], ...]
    dead_letter_topic: str
    session_timeout_s: float
    metadata_age_s: float
    fast_models: tuple[type[Event], ...] = ()
    """Types decoded by msgspec instead of pydantic."""
    batch_size: int = 500

    @property
    def group(self) -> str:
        """The id of the consumer group and of the client; the prefix tells towns on one cluster apart."""
        return f"{self.topic_prefix}-{self.service}"

    @classmethod
    def from_settings(
        cls,
        town: SharedSettings,
        *,
        service: str,
        topics: Iterable[Topic],
        types: tuple[type[Event], ...],
        fast_models: tuple[type[Event], ...] = (),
        batch_size: int = 500,
    ) -> "Subscription":
        """Take the brokers, the prefix, the session timeout and the metadata age from the settings that all services share."""
        return cls(
            brokers=KafkaConnection.from_settings(town),
            topic_prefix=town.topic_prefix,
            service=service,
            topics=tuple(topic.full_name(town.topic_prefix) for topic in topics),
            types=types,
            dead_letter_topic=dead_letter_topic(service).full_name(town.topic_prefix),
            session_timeout_s=town.session_timeout_s,
            metadata_age_s=town.metadata_age_s,
            fast_models=fast_models,
            batch_size=batch_size,
        )
