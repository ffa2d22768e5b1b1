"""Implements `parvis migrate`: migrates the schema of every installed service."""

import argparse
import asyncio
import importlib
import pkgutil
from pathlib import Path

import parvis
from parvis.common.cli.argparse_types import Commands
from parvis.common.runtime.settings import SharedSettings, load_settings
from parvis.common.storage.postgres import migrate, migrations_folder


def register(commands: Commands) -> None:
    command = commands.add_parser("migrate", help="migrate the database to the newest schemas")
    command.set_defaults(run=_migrate)


def services_with_migrations() -> dict[str, Path]:
    """Find the migrations folder of each installed service that has tables, by schema."""
    migrations: dict[str, Path] = {}
    for module in pkgutil.iter_modules(parvis.__path__):
        folder = migrations_folder(importlib.import_module(f"parvis.{module.name}"))
        if folder:
            migrations[module.name] = folder
    return migrations


def _migrate(_: argparse.Namespace) -> int:
    url = load_settings(SharedSettings).database_url.get_secret_value()
    for schema, folder in services_with_migrations().items():
        asyncio.run(migrate(url, schema, folder))
        print(f"{schema}: up to date")
    return 0
