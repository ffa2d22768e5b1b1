"""`parvis dead-letters`: look at what nobody could handle, send it again, let a stopped consumer go on."""

import argparse
import asyncio
import sys

from parvis.common import topics
from parvis.common.bus import Producer, Received, Record
from parvis.common.bus.admin import read_all
from parvis.common.bus.dead_letters import HEADER, Brake
from parvis.common.cli.commands import Commands
from parvis.common.database import Database
from parvis.common.errors import Rejected
from parvis.common.settings import TownSettings, load


def register(commands: Commands) -> None:
    command = commands.add_parser("dead-letters", help="look at, replay and resume after records nobody could handle")
    actions = command.add_subparsers(metavar="list|show|replay|resume", required=True)
    for name, run, meaning in (
        ("list", _list, "one line a dead letter; no personal data"),
        ("show", _show, "the original bytes of one; personal data: mind who looks"),
        ("replay", _replay, "write them to their topic again, in their order"),
        ("resume", _resume, "let a consumer that stopped at its limit go on"),
    ):
        action = actions.add_parser(name, help=meaning)
        action.add_argument("service", choices=topics.CONSUMERS)
        if name in ("show", "replay"):
            action.add_argument(
                "id", nargs="?" if name == "replay" else None, help="event id; replay without one takes all"
            )
        action.set_defaults(run=run)


async def letters_of(town: TownSettings, service: str) -> list[Received]:
    """The dead letters of a service, in the order in which they died."""
    topic = topics.dead_letter(service).full_name(town.topic_prefix)
    found = [letter async for letter in read_all(town.kafka_bootstrap, [topic])]
    return sorted(found, key=lambda letter: letter.header(f"{HEADER}at") or "")


def _list(arguments: argparse.Namespace) -> int:
    found = asyncio.run(letters_of(load(TownSettings), arguments.service))
    for letter in found:
        marks = [letter.header(f"{HEADER}{name}") or "" for name in ("at", "topic", "partition", "offset", "reason")]
        print("  ".join([letter.event_id or "(no id)", *marks]))
    print(f"{len(found)} dead letters of {arguments.service}")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    for letter in asyncio.run(letters_of(load(TownSettings), arguments.service)):
        if letter.event_id == arguments.id:
            sys.stdout.buffer.write(letter.value + b"\n")
            return 0
    raise Rejected(f"no dead letter {arguments.id} of {arguments.service}; `parvis dead-letters list` shows them")


def _replay(arguments: argparse.Namespace) -> int:
    return asyncio.run(_send_again(load(TownSettings), arguments.service, arguments.id))


async def _send_again(town: TownSettings, service: str, wanted: str | None) -> int:
    chosen = [letter for letter in await letters_of(town, service) if wanted in (None, letter.event_id)]
    producer = Producer(town.kafka_bootstrap, service="dead-letters")
    try:
        for letter in chosen:
            await producer.send(_original(letter))
    finally:
        await producer.stop()
    print(
        f"{len(chosen)} dead letters of {service} written to their topics again; what was handled already is recognised by its id"
    )
    return 0


def _original(letter: Received) -> Record:
    headers = tuple(header for header in letter.headers if not header[0].startswith(HEADER))
    return Record(letter.header(f"{HEADER}topic") or "", letter.key, letter.value, headers)


def _resume(arguments: argparse.Namespace) -> int:
    lifted = asyncio.run(_release(load(TownSettings), arguments.service))
    print(f"{arguments.service} goes on" if lifted else f"{arguments.service} was not stopped")
    return 0


async def _release(town: TownSettings, service: str) -> int:
    database = Database(town.database_url.get_secret_value(), service="dead-letters")
    try:
        return await Brake(database, service).release()
    finally:
        await database.close()
