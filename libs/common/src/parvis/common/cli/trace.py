"""Implements `parvis trace ID`: prints the events about an id, and what services still store about it."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Iterable
from importlib.metadata import entry_points

from parvis.common.bus.cloudevents import ReceivedRecord
from parvis.common.bus.connection import Brokers, KafkaConnection
from parvis.common.bus.topic_reader import read_all_records
from parvis.common.cli.argparse_types import Commands, not_blank
from parvis.common.cli.topics import town_topics
from parvis.common.contract.errors import Unavailable
from parvis.common.runtime.settings import SharedSettings, load_settings

# Reports what a service stores about ids, one line each. Services register it in the entry-point group `parvis.trace`.
LocateIds = Callable[[SharedSettings, frozenset[str]], Awaitable[list[str]]]


def register(commands: Commands) -> None:
    command = commands.add_parser("trace", help="print every event about a contact, conversation, reply or reference")
    command.add_argument(
        "id", type=not_blank, help="contact id, conversation id, reply id, or a reference such as P-7F3K-2Q9X-M4TC"
    )
    command.set_defaults(run=_trace)


def _trace(arguments: argparse.Namespace) -> int:
    town = load_settings(SharedSettings)
    names = [topic.full_name(town.topic_prefix) for topic in town_topics(town)]
    events = asyncio.run(_find_events(KafkaConnection.from_settings(town), names, arguments.id))
    for received in sorted(events, key=lambda r: r.header("ce_time") or ""):
        print(describe_event(received))
    lines = asyncio.run(_ask_services(town, _ids_of(events) | {arguments.id}))
    for line in lines:
        print(line)
    if not events and not lines:
        print(f"nothing found about {arguments.id}: it was never accepted, or its events have expired")
    return 0 if events or lines else 1


def describe_event(received: ReceivedRecord) -> str:
    """The time, type, id and position of an event; of a record of another tool, which has none of its own, the position alone."""
    kind, at = received.header("ce_type") or "(no type)", received.header("ce_time") or "(no time)"
    return (
        f"{at}  {kind:<20} {received.event_id or '(no id)'}  {received.topic}[{received.partition}]@{received.offset}"
    )


def _ids_of(events: Iterable[ReceivedRecord]) -> frozenset[str]:
    return frozenset(name for received in events for name in (received.event_id, received.header("ce_subject")) if name)


async def _ask_services(town: SharedSettings, ids: frozenset[str]) -> list[str]:
    lines: list[str] = []
    for point in sorted(entry_points(group="parvis.trace"), key=lambda p: p.name):
        locate_ids: LocateIds = point.load()
        try:
            lines += await locate_ids(town, ids)
        except Unavailable as error:
            lines.append(f"{point.name} does not answer: {error}")
    return lines


async def _find_events(brokers: Brokers, topics: Iterable[str], event_or_subject_id: str) -> list[ReceivedRecord]:
    """Find events with the id in a header, the key, or as a string in the value; then those of the same conversation."""
    needles = {event_or_subject_id.encode()}
    everything = [received async for received in read_all_records(brokers, list(topics))]
    matches: dict[tuple[str, int, int], ReceivedRecord] = {}
    for _ in range(2):  # the second pass goes from the contact to its conversation
        for received in everything:
            if _mentions(received, needles):
                matches[received.topic, received.partition, received.offset] = received
        subjects = (received.header("ce_subject") for received in matches.values())
        needles |= {subject.encode() for subject in subjects if subject}
    return list(matches.values())


def _mentions(received: ReceivedRecord, needles: set[bytes]) -> bool:
    headers = {received.event_id.encode(), (received.header("ce_subject") or "").encode(), received.key}
    return bool(headers & needles) or any(b'"' + needle + b'"' in received.value for needle in needles)
