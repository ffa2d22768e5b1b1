"""`parvis topics plan|apply`: the map of the bus against the cluster."""

import argparse
import asyncio

from parvis.common import topics
from parvis.common.bus import admin
from parvis.common.cli.commands import Commands
from parvis.common.directory import load_directory
from parvis.common.settings import TownSettings, load


def register(commands: Commands) -> None:
    command = commands.add_parser("topics", help="compare the topics with the map, or create and mend them")
    actions = command.add_subparsers(metavar="plan|apply", required=True)
    actions.add_parser("plan", help="say what would change").set_defaults(run=_plan)
    actions.add_parser("apply", help="create and mend; never deletes").set_defaults(run=_apply)


def town_topics(town: TownSettings) -> list[topics.Topic]:
    return topics.all_topics(list(load_directory(town.config_dir).departments))


def _plan(_: argparse.Namespace) -> int:
    town = load(TownSettings)
    changes = asyncio.run(
        admin.plan(town.kafka_bootstrap, town_topics(town), prefix=town.topic_prefix, replication=town.replication)
    )
    return _show(changes)


def _apply(_: argparse.Namespace) -> int:
    town = load(TownSettings)
    changes = asyncio.run(
        admin.apply(town.kafka_bootstrap, town_topics(town), prefix=town.topic_prefix, replication=town.replication)
    )
    return _show(changes)


def _show(changes: list[admin.Change]) -> int:
    for change in changes:
        print(f"{change.topic}: {change.what}")
    if not changes:
        print("topics: nothing to change")
    return 0
