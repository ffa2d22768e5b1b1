"""Adds `parvis desk reindex`: rebuilds the search index from the stored messages."""

import argparse
import asyncio

from parvis.common.cli.argparse_types import Commands
from parvis.common.runtime.settings import SharedSettings, load_settings
from parvis.common.storage.postgres import Database
from parvis.common.town.loading import load_town_config
from parvis.desk.store.search_indexing import rebuild_index


def register(actions: Commands) -> None:
    reindex = actions.add_parser("reindex", help="index every stored message anew; the desk may run meanwhile")
    reindex.set_defaults(run=_run)


def _run(_: argparse.Namespace) -> int:
    return asyncio.run(_reindex())


async def _reindex() -> int:
    town = load_settings(SharedSettings)
    database = Database(town.database_url.get_secret_value(), service="desk-command")
    count = await rebuild_index(database, load_town_config(town.config_dir))
    await database.close()
    print(f"{count} messages indexed")
    return 0
