"""Implements `parvis topics plan|apply`: compares the topic map with the cluster, creates and changes topics."""

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from parvis.common.bus import admin
from parvis.common.cli.subparsers import Commands
from parvis.common.contract import topics
from parvis.common.contract.errors import Rejected
from parvis.common.runtime.settings import TownSettings, load_settings
from parvis.common.town.loading import load_town_config

_MAX_PARTITIONS = 1000


def register(commands: Commands) -> None:
    command = commands.add_parser("topics", help="compare the topics with the map, or create and mend them")
    actions = command.add_subparsers(metavar="plan|apply", required=True)
    for name, run, meaning in (
        ("plan", _plan, "say what would change"),
        ("apply", _apply, "create and mend; never deletes, never takes partitions away"),
    ):
        action = actions.add_parser(name, help=meaning)
        action.add_argument(
            "--partitions", action="append", default=[], type=_parse_partition_count, metavar="TOPIC=COUNT",
            help="more than the map says, such as contact.received=24; may be given again. The routers keep the order",
        )  # fmt: skip
        action.set_defaults(run=run)


def _parse_partition_count(text: str) -> tuple[str, int]:
    name, _, count = text.partition("=")
    if not count.isdecimal() or not 0 < int(count) <= _MAX_PARTITIONS:
        raise argparse.ArgumentTypeError(f"{text!r} is not TOPIC=COUNT with a count from 1 to {_MAX_PARTITIONS}")
    return name, int(count)


def town_topics(town: TownSettings) -> list[topics.Topic]:
    return topics.all_topics(list(load_town_config(town.config_dir).departments))


def with_more_partitions(rows: Sequence[topics.Topic], wishes: Mapping[str, int]) -> list[topics.Topic]:
    """The map with more partitions.

    Raises: Rejected, for a topic there is none of, for less than the map says, and where a key in two partitions does harm:
            compacted topics would keep both, and only the router waits until the old partitions are drained.
    """
    known = {row.name: row for row in rows}
    for name, count in wishes.items():
        row = known.get(name)
        if row is None:
            raise Rejected(f"there is no topic {name}; `parvis topics plan` works on {', '.join(sorted(known))}")
        if count < row.partitions:
            raise Rejected(f"{name} has {row.partitions} partitions by the map, and {count} would be less")
        if name not in _GROWING and not name.startswith(_DEPARTMENTS):
            raise Rejected(f"{name} cannot grow while it is used: its readers rely on a key's one partition")
    return [replace(row, partitions=wishes.get(row.name, row.partitions)) for row in rows]


_GROWING = (topics.CONTACT_RECEIVED.name, topics.TRANSFER_REQUESTED.name)  # the router's, which has a barrier
_DEPARTMENTS = topics.department_topic("").name  # whoever reads them goes by `sequence`


def _plan(arguments: argparse.Namespace) -> int:
    town = load_settings(TownSettings)
    rows = with_more_partitions(town_topics(town), dict(arguments.partitions))
    changes = asyncio.run(
        admin.plan_topics(town.kafka_bootstrap, rows, prefix=town.topic_prefix, replication=town.replication)
    )
    return _print_changes(changes)


def _apply(arguments: argparse.Namespace) -> int:
    town = load_settings(TownSettings)
    rows = with_more_partitions(town_topics(town), dict(arguments.partitions))
    changes = asyncio.run(
        admin.apply_topics(town.kafka_bootstrap, rows, prefix=town.topic_prefix, replication=town.replication)
    )
    return _print_changes(changes)


def _print_changes(changes: list[admin.TopicChange]) -> int:
    for change in changes:
        print(f"{change.topic}: {change.description}")
    if not changes:
        print("topics: nothing to change")
    return 0
