"""Implements `parvis trace ID`: shows the events about an id, and what services still hold of it."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Iterable
from importlib.metadata import entry_points

from parvis.common.bus.cloudevents import ReceivedRecord
from parvis.common.bus.topic_reader import read_all_records
from parvis.common.cli.subparsers import Commands
from parvis.common.cli.topics import town_topics
from parvis.common.contract.errors import Unavailable
from parvis.common.runtime.settings import TownSettings, load_settings

# What a service says of ids: a line for each thing that it keeps back. Named by the entry-point group `parvis.trace`.
LocateIds = Callable[[TownSettings, frozenset[str]], Awaitable[list[str]]]


def register(commands: Commands) -> None:
    command = commands.add_parser("trace", help="show every event about a contact, conversation, reply or reference")
    command.add_argument("id", help="contact id, conversation id, reply id, or a reference such as P-7F3K-2Q9X-M4TC")
    command.set_defaults(run=_trace)


def _trace(arguments: argparse.Namespace) -> int:
    town = load_settings(TownSettings)
    names = [topic.full_name(town.topic_prefix) for topic in town_topics(town)]
    found = asyncio.run(_find_events(town.kafka_bootstrap, names, arguments.id))
    for received in sorted(found, key=lambda r: r.header("ce_time") or ""):
        place = f"{received.topic}[{received.partition}]@{received.offset}"
        print(f"{received.header('ce_time')}  {received.header('ce_type'):<20} {received.event_id}  {place}")
    kept = asyncio.run(_ask_services(town, _ids_of(found) | {arguments.id}))
    for line in kept:
        print(line)
    if not found and not kept:
        print(f"nothing is known of {arguments.id}: it was not accepted, or its events are past their retention")
    return 0 if found or kept else 1


def _ids_of(found: Iterable[ReceivedRecord]) -> frozenset[str]:
    return frozenset(name for received in found for name in (received.event_id, received.header("ce_subject")) if name)


async def _ask_services(town: TownSettings, ids: frozenset[str]) -> list[str]:
    lines: list[str] = []
    for point in sorted(entry_points(group="parvis.trace"), key=lambda p: p.name):
        where: LocateIds = point.load()
        try:
            lines += await where(town, ids)
        except Unavailable as error:
            lines.append(f"{point.name} could not be asked: {error}")
    return lines


async def _find_events(bootstrap: str, topics: Iterable[str], wanted: str) -> list[ReceivedRecord]:
    """Events that name the id in a header or key, or whose value holds it as a whole string; then their kin."""
    needles = {wanted.encode()}
    everything = [received async for received in read_all_records(bootstrap, list(topics))]
    found: dict[tuple[str, int, int], ReceivedRecord] = {}
    for _ in range(2):  # the second pass follows from the contact to its conversation
        for received in everything:
            if _mentions(received, needles):
                found[received.topic, received.partition, received.offset] = received
        subjects = (received.header("ce_subject") for received in found.values())
        needles |= {subject.encode() for subject in subjects if subject}
    return list(found.values())


def _mentions(received: ReceivedRecord, needles: set[bytes]) -> bool:
    headers = {received.event_id.encode(), (received.header("ce_subject") or "").encode(), received.key}
    return bool(headers & needles) or any(b'"' + needle + b'"' in received.value for needle in needles)
