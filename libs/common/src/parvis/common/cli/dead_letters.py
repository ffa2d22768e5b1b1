"""Implements `parvis dead-letters`: list and show dead letters, replay them, resume a halted consumer."""

import argparse
import asyncio
import sys
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from parvis.common.bus.connection import KafkaConnection
from parvis.common.bus.dead_letter_replay import (
    DeadLetter,
    DeadLetterFilter,
    ReplayProgress,
    read_dead_letters,
    replay_dead_letters,
)
from parvis.common.bus.dead_letters import ConsumerHaltStore
from parvis.common.bus.producer import Producer
from parvis.common.cli.argparse_types import Commands, instant
from parvis.common.contract import topics
from parvis.common.contract.errors import Rejected, Unavailable
from parvis.common.contract.event_base import format_instant
from parvis.common.runtime.settings import SharedSettings, load_settings
from parvis.common.storage.postgres import Database


def register(commands: Commands) -> None:
    command = commands.add_parser("dead-letters", help="list, show and replay records that a consumer could not handle")
    actions = command.add_subparsers(metavar="list|show|replay|resume", required=True)
    for name, run, meaning in (
        ("list", _list, "list dead letters, then count them by reason; no personal data"),
        ("show", _show, "print the original bytes of a dead letter; contains personal data"),
        ("replay", _replay, "write records to their original topics again, in their original order"),
        ("resume", _resume, "resume a consumer that halted at too many dead letters"),
    ):
        action = actions.add_parser(name, help=meaning)
        action.add_argument("service", choices=topics.CONSUMERS)
        if name == "show":
            action.add_argument("id", help="event id")
        if name in ("list", "replay"):
            _add_filter_arguments(action)
        if name == "replay":
            action.add_argument("--again", action="store_true", help="include those that were replayed before")
            action.add_argument(
                "--dry-run", action="store_true", help="print what would be written, without writing it"
            )
        action.set_defaults(run=run)


def _add_filter_arguments(action: argparse.ArgumentParser) -> None:
    action.add_argument("id", nargs="?", help="event id; by default all")
    action.add_argument("--reason", help="only those whose reason contains this text")
    action.add_argument("--topic", help="only those from this topic, such as contact.received")
    action.add_argument(
        "--since",
        type=instant,
        help="only those dead-lettered since: 2026-11-23T03:00 (UTC), or 90m, 2h, 3d ago",
    )
    action.add_argument("--until", type=instant, help="only those dead-lettered before")


def _list(arguments: argparse.Namespace) -> int:
    return asyncio.run(
        _print_letters(load_settings(SharedSettings), arguments.service, _build_filter(arguments, also_replayed=True))
    )


async def _print_letters(town: SharedSettings, service: str, choice: DeadLetterFilter) -> int:
    letters = [
        letter
        for letter in await read_dead_letters(KafkaConnection.from_settings(town), _topic(town, service))
        if choice.matches(letter)
    ]
    for letter in letters:
        state = f"replayed {format_instant(letter.replayed_at)}" if letter.replayed_at else "not replayed"
        position = f"{letter.topic}  {letter.partition}  {letter.offset}"
        print("  ".join([letter.event_id or "(no id)", format_instant(letter.died_at), position, state, letter.reason]))
    _print_reasons([letter for letter in letters if not letter.replayed_at])
    open_count = sum(not letter.replayed_at for letter in letters)
    print(f"{len(letters)} dead letters of {service}, {open_count} not replayed")
    try:
        if reason := await _halt_reason(town, service):
            print(f"{service} is halted: {reason}")
    except Unavailable as error:  # the list is useful even if PostgreSQL is down
        print(f"cannot tell whether {service} is halted: {error}")
    return 0


def _print_reasons(letters: Sequence[DeadLetter]) -> None:
    """Print the number and the period of dead letters by reason, last, where an operator looks first."""
    reasons: dict[str, list[datetime]] = defaultdict(list)
    for letter in letters:
        reasons[letter.reason].append(letter.died_at)
    for reason, times in sorted(reasons.items(), key=lambda entry: -len(entry[1])):
        print(f"{len(times):>7}  from {format_instant(min(times))} to {format_instant(max(times))}  {reason}")


def _show(arguments: argparse.Namespace) -> int:
    town = load_settings(SharedSettings)
    for letter in asyncio.run(read_dead_letters(KafkaConnection.from_settings(town), _topic(town, arguments.service))):
        if letter.event_id == arguments.id:
            sys.stdout.buffer.write(letter.received.value + b"\n")
            return 0
    raise Rejected(f"no dead letter {arguments.id} of {arguments.service}; `parvis dead-letters list` shows them")


def _replay(arguments: argparse.Namespace) -> int:
    choice = _build_filter(arguments, also_replayed=arguments.again)
    return asyncio.run(
        _replay_matching(load_settings(SharedSettings), arguments.service, choice, dry_run=arguments.dry_run)
    )


async def _replay_matching(town: SharedSettings, service: str, choice: DeadLetterFilter, *, dry_run: bool) -> int:
    everything = await read_dead_letters(KafkaConnection.from_settings(town), _topic(town, service))
    chosen = [letter for letter in everything if choice.matches(letter)]
    if not chosen:
        raise Rejected(_describe_no_match(everything, service, choice))
    if reason := await _halt_reason(town, service):
        # Replayed records would wait behind the cause of the halt; resuming first shows whether the cause is gone.
        raise Rejected(
            f"{service} is halted: {reason}. Fix the cause, run `parvis dead-letters resume {service}`, then replay"
        )
    if dry_run:
        for letter in chosen:
            print(
                f"would write {letter.event_id or '(no id)'} to {letter.topic}; its position there was {letter.partition}@{letter.offset}"
            )
        print(f"{len(chosen)} dead letters of {service} would be written")
        return 0
    producer = Producer.from_settings(town, service="dead-letters")
    progress = ReplayProgress(0)
    try:
        async for progress in replay_dead_letters(chosen, topic=_topic(town, service), producer=producer):
            print(f"{progress.done} of {len(chosen)}", file=sys.stderr)
    finally:
        await producer.stop()
    written = len(chosen) - len(progress.refused)
    print(
        f"{written} dead letters of {service} written to their topics; readers ignore event ids that they have already handled"
    )
    for letter in progress.refused:
        print(f"{letter.event_id or '(no id)'} was refused by {letter.topic} and stays a dead letter")
    return 1 if progress.refused else 0


def _describe_no_match(everything: Sequence[DeadLetter], service: str, choice: DeadLetterFilter) -> str:
    replayed = sum(letter.replayed_at is not None for letter in everything)
    before = (
        f"; {replayed} were replayed before; `--again` includes them" if replayed and not choice.also_replayed else ""
    )
    return f"none of the {len(everything)} dead letters of {service} matches{before}"


def _build_filter(arguments: argparse.Namespace, *, also_replayed: bool) -> DeadLetterFilter:
    return DeadLetterFilter(
        event_id=arguments.id,
        reason=arguments.reason,
        topic=arguments.topic,
        since=arguments.since,
        until=arguments.until,
        also_replayed=also_replayed,
    )


def _topic(town: SharedSettings, service: str) -> str:
    return topics.dead_letter_topic(service).full_name(town.topic_prefix)


def _resume(arguments: argparse.Namespace) -> int:
    reason = asyncio.run(_resume_consumer(load_settings(SharedSettings), arguments.service))
    print(f"{arguments.service} resumes; it was halted: {reason}" if reason else f"{arguments.service} was not halted")
    return 0


async def _resume_consumer(town: SharedSettings, service: str) -> str | None:
    database = Database(town.database_url.get_secret_value(), service="dead-letters")
    try:
        halt = ConsumerHaltStore(database, service)
        reason = await halt.reason()
        await halt.resume()
        return reason
    finally:
        await database.close()


async def _halt_reason(town: SharedSettings, service: str) -> str | None:
    database = Database(town.database_url.get_secret_value(), service="dead-letters")
    try:
        return await ConsumerHaltStore(database, service).reason()
    finally:
        await database.close()
