"""Adds `parvis desk rebuild`: compares the cases with the topics, and mends what differs."""

import argparse
import asyncio
import sys

from parvis.common.bus.admin import is_group_active
from parvis.common.bus.connection import KafkaConnection
from parvis.common.bus.producer import Producer
from parvis.common.cli.argparse_types import Commands
from parvis.common.contract import topics
from parvis.common.runtime.health import Health
from parvis.common.runtime.settings import SharedSettings, load_settings
from parvis.common.storage.outbox import Outbox
from parvis.common.storage.postgres import Database
from parvis.common.town.loading import load_town_config
from parvis.desk.consume.projection_rebuild import ProjectionRebuild, RebuildVerdict
from parvis.desk.schema import case_tables
from parvis.desk.store.projection_comparison import REBUILT, Difference

_STATEMENT_TIMEOUT_S = 3600  # one statement compares a whole table


def register(actions: Commands) -> None:
    rebuild = actions.add_parser(
        "rebuild", help="make the cases what the topics say, as after a restored backup; no desk may run"
    )
    rebuild.add_argument("--check", action="store_true", help="change nothing; exit 1 if anything differs")
    rebuild.set_defaults(run=_run_rebuild)


def _run_rebuild(given: argparse.Namespace) -> int:
    return asyncio.run(_rebuild(is_check=given.check))


async def _rebuild(*, is_check: bool) -> int:
    town = load_settings(SharedSettings)
    brokers = KafkaConnection.from_settings(town)
    if await is_group_active(brokers, f"{town.topic_prefix}-desk"):
        sys.stderr.write("a desk still runs, or was killed less than a minute ago: stop every desk first\n")
        return 1
    database, beside = (_database(town) for _ in range(2))
    beside.engine = beside.engine.execution_options(schema_translate_map={case_tables.SCHEMA: REBUILT})
    producer = Producer.from_settings(town, service="desk-command", health=(health := Health()))
    town_config = load_town_config(town.config_dir)
    names = [topics.department_topic(slug).full_name(town.topic_prefix) for slug in town_config.departments]
    names.append(topics.DELIVERY_UPDATED.full_name(town.topic_prefix))
    outbox = Outbox(case_tables.outbox, database, producer, health, "desk")
    work = ProjectionRebuild(brokers, names, database, beside, outbox, town_config, town.topic_prefix)
    verdict = await (work.check() if is_check else work.rebuild())
    await work.drop()
    for one in (database, beside):
        await one.close()
    print(describe(verdict))
    if is_check:
        return 1 if verdict.differences else 0
    print("the desk may be started")
    return 0


def _database(town: SharedSettings) -> Database:
    url = town.database_url.get_secret_value()
    return Database(url, service="desk-command", statement_timeout_s=_STATEMENT_TIMEOUT_S)


def describe(verdict: RebuildVerdict) -> str:
    """What was compared and what differed, without a word of the citizens."""
    lines = [f"{verdict.records} records read, {verdict.unreadable} of them left out"]
    if verdict.older_cases:
        lines.append(f"{verdict.older_cases} cases are older than the topics and stay as they are")
    lines += [_describe(difference) for difference in verdict.differences] or ["no case differs"]
    return "\n".join(lines)


def _describe(difference: Difference) -> str:
    columns = ", ".join(f"{name} {count}" for name, count in sorted(difference.differing.items()))
    return f"{difference.table}: {difference.missing} rows missing; rows that differ, by column: {columns or 'none'}"
