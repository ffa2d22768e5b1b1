"""Runs Quix Streams: a dataframe from the input topic to the departments' topics, with pydantic and the rules in between."""

# pyright: basic, reportMissingImports=false
# Run in this folder by the peers' own interpreter: their packages are not installed in ours.

import sys
from typing import Any

from event import routed
from quixstreams import Application
from quixstreams.models import Serializer
from rules import DEFAULT, RULES

BOOTSTRAP, PREFIX, GROUP = sys.argv[1:]


class Second(Serializer):
    """Serializes a pair of department and bytes as the bytes."""

    def __call__(self, value: tuple[str, bytes], ctx: Any) -> bytes:
        return value[1]


application = Application(
    broker_address=BOOTSTRAP,
    consumer_group=GROUP,
    auto_offset_reset="earliest",
    commit_interval=0.1,
    auto_create_topics=False,
    producer_extra_config={"acks": "all", "enable.idempotence": True, "linger.ms": 5, "batch.size": 256 * 1024},
    loglevel="WARNING",
)
source = application.topic(f"{PREFIX}.contact.received", value_deserializer="bytes")
queues: dict[str, Any] = {
    name: application.topic(f"{PREFIX}.department.{name}", value_serializer=Second())
    for name in {DEFAULT, *(rule.department for rule in RULES)}
}
frame = application.dataframe(source).apply(routed)
frame = frame.to_topic(lambda value, _key, _timestamp, _headers: queues[value[0]])
application.run()
