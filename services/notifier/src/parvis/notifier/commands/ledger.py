"""Adds `parvis notifier sends|steps|preferences|rebuild`: queries of the ledger, and its rebuild after a restored backup."""

import argparse
import asyncio
import sys
from datetime import datetime
from typing import get_args

from parvis.common.bus.admin import is_group_active
from parvis.common.bus.connection import KafkaConnection
from parvis.common.bus.producer import Producer
from parvis.common.cli.argparse_types import Commands, instant
from parvis.common.contract.channels import ContactPointKind
from parvis.common.contract.event_base import format_instant
from parvis.common.contract.normalize_contact_points import hash_contact_point, parse_contact_point
from parvis.common.contract.topics import DELIVERY_REPORTED, DELIVERY_UPDATED, PREFERENCE_CHANGED, REPLY_REQUESTED
from parvis.common.runtime.health import Health
from parvis.common.runtime.settings import SharedSettings, load_settings
from parvis.common.storage.outbox import Outbox
from parvis.common.storage.postgres import Database
from parvis.common.town.loading import load_town_config
from parvis.notifier import schema
from parvis.notifier.consume.channel_fallback import ChannelFallback
from parvis.notifier.consume.kafka_intake import KafkaIntake
from parvis.notifier.consume.ledger_rebuild import LedgerRebuild, RebuildTopics
from parvis.notifier.decide.channel_choice import ChannelChooser, own_addresses
from parvis.notifier.store import deliveries, unresolved_deliveries
from parvis.notifier.store.delivery_ledger import DeliveryLedger
from parvis.notifier.store.preferences import preference_log_of


def register(actions: Commands) -> None:
    sends = actions.add_parser("sends", help="replies with more sends than the ledger explains; exit 1 if any")
    sends.set_defaults(run=_run_sends)

    steps = actions.add_parser("steps", help="every step of a reply: channel, state, why")
    steps.add_argument("reply", metavar="REPLY_ID")
    steps.set_defaults(run=_run_steps)

    preferences = actions.add_parser(
        "preferences", help="every stored preference of a contact point, with source, proof and date"
    )
    preferences.add_argument("kind", choices=get_args(ContactPointKind))
    preferences.add_argument("value", help="+33639980001, someone@citizens.example")
    preferences.set_defaults(run=_run_preferences)

    rebuild = actions.add_parser("rebuild", help="bring a restored database up to date with Kafka; no notifier may run")
    rebuild.add_argument("--since", type=instant, help="time of the backup; by default the ledger's last change")
    rebuild.set_defaults(run=_run_rebuild)


def _run_sends(_: argparse.Namespace) -> int:
    return asyncio.run(_sends())


def _run_steps(given: argparse.Namespace) -> int:
    return asyncio.run(_steps(given.reply))


def _run_preferences(given: argparse.Namespace) -> int:
    return asyncio.run(_preferences(given.kind, given.value))


def _run_rebuild(given: argparse.Namespace) -> int:
    return asyncio.run(_rebuild(given.since))


def _database(town: SharedSettings) -> Database:
    return Database(town.database_url.get_secret_value(), service="notifier-command")


async def _sends() -> int:
    database = _database(load_settings(SharedSettings))
    async with database.transaction() as connection:
        whole, over = (
            await unresolved_deliveries.ledger_totals(connection),
            await unresolved_deliveries.sent_too_often(connection),
        )
    await database.close()
    print(
        f"replies {whole.replies}, sends {whole.sends}, resends {whole.resends}, moves {whole.moves}, unknown {whole.unknown}"
    )
    for row in over:
        print(f"{row.reply_id}: {row.sends} sends, {row.allowed} explained")
    return 1 if over else 0


async def _steps(reply: str) -> int:
    database = _database(load_settings(SharedSettings))
    async with database.transaction() as connection:
        steps = (await deliveries.deliveries_of_replies(connection, [reply])).get(reply, [])
    await database.close()
    for d in steps:
        parts = (
            d.failure_class or "",
            d.detail,
            f"→ {d.moves_to}" if d.moves_to else "",
            f"because {d.why}" if d.why else "",
        )
        print(
            f"{d.step}. {d.channel:<6} {d.state:<12} attempts {d.attempt}, sends {d.sends}  {'  '.join(filter(None, parts))}"
        )
    if not steps:
        sys.stderr.write(f"no reply {reply} in the ledger\n")
    return 0 if steps else 1


async def _preferences(kind: ContactPointKind, value: str) -> int:
    point = parse_contact_point(kind, value)
    town = load_settings(SharedSettings)
    database = _database(town)
    async with database.transaction() as connection:
        changes = await preference_log_of(connection, hash_contact_point(point, town.hashing_key))
    await database.close()
    for change in changes:
        preferred = ", ".join(address.channel for address in change.personal.reply_channels)
        parts = (
            f"opted out of {', '.join(change.opt_outs)}" if change.opt_outs else "",
            f"prefers {preferred}" if preferred else "",
            change.detail,
        )
        proof = f"proof {change.evidence.blob}" if change.evidence else ""
        print(f"{format_instant(change.changed_at)}  {change.source:<16} {'  '.join(filter(None, (*parts, proof)))}")
    if not changes:
        print("nothing known: this address has no stored preference")
    return 0


async def _rebuild(since: datetime | None) -> int:
    town = load_settings(SharedSettings)
    brokers = KafkaConnection.from_settings(town)
    if await is_group_active(brokers, f"{town.topic_prefix}-notifier"):
        sys.stderr.write("a notifier still runs, or was killed less than a minute ago: stop every notifier first\n")
        return 1
    database, health = _database(town), Health()
    producer = Producer.from_settings(town, service="notifier-command", health=health)
    outbox = Outbox(schema.outbox, database, producer, health, "notifier")
    names = (DELIVERY_UPDATED.full_name(town.topic_prefix), PREFERENCE_CHANGED.full_name(town.topic_prefix))
    chooser = ChannelChooser(own_addresses(load_town_config(town.config_dir)), town.hashing_key)
    ledger = DeliveryLedger(outbox, *names)
    fallback = ChannelFallback(ledger, chooser)
    intake = KafkaIntake(database, ledger, fallback, chooser, outbox, asyncio.Event(), asyncio.Event())
    topics = [topic.full_name(town.topic_prefix) for topic in (REPLY_REQUESTED, DELIVERY_UPDATED, DELIVERY_REPORTED)]
    mended = await LedgerRebuild(brokers, RebuildTopics(*topics), database, intake).rebuild(since)
    await database.close()
    print(f"{mended} deliveries repaired; the notifier may be started")
    return 0
