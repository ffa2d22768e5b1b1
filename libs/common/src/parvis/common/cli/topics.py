"""Implements `parvis topics plan|apply|acls`: compares the topic map with the cluster, changes topics, lists and grants rights."""

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from parvis.common.bus import access_rights, admin
from parvis.common.bus.connection import KafkaConnection
from parvis.common.cli import render_access_rights
from parvis.common.cli.argparse_types import Commands
from parvis.common.contract import topics
from parvis.common.contract.errors import Rejected
from parvis.common.runtime.settings import SharedSettings, load_settings
from parvis.common.town.loading import load_town_config

_MAX_PARTITIONS = 1000


def register(commands: Commands) -> None:
    command = commands.add_parser("topics", help="compare the cluster with the topic map, or create and change topics")
    actions = command.add_subparsers(metavar="plan|apply|acls", required=True)
    for name, run, meaning in (
        ("plan", _plan, "list the changes that apply would make"),
        ("apply", _apply, "create and change topics; never deletes topics or removes partitions"),
    ):
        action = actions.add_parser(name, help=meaning)
        action.add_argument(
            "--partitions", action="append", default=[], type=_parse_partition_count, metavar="TOPIC=COUNT",
            help="more partitions than in the topic map, such as contact.received=24; repeatable. Routers keep the order of keys",
        )  # fmt: skip
        action.set_defaults(run=run)
    action = actions.add_parser("acls", help="print the rights that each Kafka user needs, or grant them")
    action.add_argument("--apply", action="store_true", help="grant them, as a super user; never revokes any")
    action.add_argument("--format", choices=(*render_access_rights.TEXTS, "strimzi"), default="commands")
    action.add_argument(
        "--authentication", choices=("scram-sha-512", "tls"), default="scram-sha-512",
        help="tls: users are known by the common name of their client certificate",
    )  # fmt: skip
    action.add_argument("--cluster", default="kafka", help="with --format strimzi: the name of the Kafka object")
    action.set_defaults(run=_acls)


def _parse_partition_count(text: str) -> tuple[str, int]:
    name, _, count = text.partition("=")
    if not count.isdecimal() or not 0 < int(count) <= _MAX_PARTITIONS:
        raise argparse.ArgumentTypeError(f"{text!r} is not TOPIC=COUNT with a count from 1 to {_MAX_PARTITIONS}")
    return name, int(count)


def town_topics(town: SharedSettings) -> list[topics.Topic]:
    return topics.all_topics(list(load_town_config(town.config_dir).departments))


def with_more_partitions(rows: Sequence[topics.Topic], partition_counts: Mapping[str, int]) -> list[topics.Topic]:
    """Raise the numbers of partitions in the topic map.

    Raises: Rejected, for an unknown topic, for fewer partitions than in the map, and for a topic whose keys must stay in
            one partition: a compacted one, or one whose readers do not wait until the old partitions are drained.
    """
    topics_by_name = {row.name: row for row in rows}
    for name, count in partition_counts.items():
        row = topics_by_name.get(name)
        if row is None:
            raise Rejected(f"unknown topic {name}; known are {', '.join(sorted(topics_by_name))}")
        if count < row.partitions:
            raise Rejected(f"{name} has {row.partitions} partitions in the topic map; it cannot have only {count}")
        if name not in _GROWING and not name.startswith(_DEPARTMENTS):
            raise Rejected(
                f"{name} cannot get more partitions while it is in use: its readers need each key in one partition"
            )
    return [replace(row, partitions=partition_counts.get(row.name, row.partitions)) for row in rows]


_GROWING = (
    topics.CONTACT_RECEIVED.name,
    topics.TRANSFER_REQUESTED.name,
)  # read by the router, which has a growth barrier
_DEPARTMENTS = topics.department_topic("").name  # readers order by `sequence`


def _plan(arguments: argparse.Namespace) -> int:
    town = load_settings(SharedSettings)
    rows = with_more_partitions(town_topics(town), dict(arguments.partitions))
    changes = asyncio.run(
        admin.plan_topics(
            KafkaConnection.from_settings(town), rows, prefix=town.topic_prefix, replication=town.replication
        )
    )
    return _print_changes(changes)


def _apply(arguments: argparse.Namespace) -> int:
    town = load_settings(SharedSettings)
    rows = with_more_partitions(town_topics(town), dict(arguments.partitions))
    changes = asyncio.run(
        admin.apply_topics(
            KafkaConnection.from_settings(town), rows, prefix=town.topic_prefix, replication=town.replication
        )
    )
    return _print_changes(changes)


def _acls(arguments: argparse.Namespace) -> int:
    town = load_settings(SharedSettings)
    rights = town_rights(town)
    # Strimzi's operator itself adds the `CN=` to the users whose certificates it makes.
    named = render_access_rights.with_certificates(rights) if arguments.authentication == "tls" else rights
    if arguments.apply:
        asyncio.run(access_rights.grant_rights(KafkaConnection.from_settings(town), named))
    if arguments.format == "strimzi":
        text = render_access_rights.as_strimzi(
            rights, authentication=arguments.authentication, cluster=arguments.cluster
        )
    else:
        text = render_access_rights.TEXTS[arguments.format](named)
    print(text, end="")
    return 0


def town_rights(town: SharedSettings) -> list[access_rights.AccessRight]:
    """List the rights of all Kafka users of a town: its services, its operator and its departments' own systems."""
    departments = load_town_config(town.config_dir).departments
    rows = topics.all_topics(list(departments))
    systems = {slug: department.system_writes for slug, department in departments.items()}
    return access_rights.sorted_rights(
        [
            *access_rights.needed_rights(rows, prefix=town.topic_prefix),
            *access_rights.department_rights(systems, prefix=town.topic_prefix),
        ]
    )


def _print_changes(changes: list[admin.TopicChange]) -> int:
    for change in changes:
        print(f"{change.topic}: {change.description}")
    if not changes:
        print("topics: nothing to change")
    return 0
