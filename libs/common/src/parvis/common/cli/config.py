"""Implements `parvis config check DIR` and `parvis settings SERVICE`."""

import argparse
import importlib.util
import pkgutil
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

import parvis
from parvis.common.cli.argparse_types import Commands
from parvis.common.contract.errors import Rejected
from parvis.common.runtime.settings import ServiceSettings, SharedSettings, environment_variables
from parvis.common.town.answer_texts import load_answer_texts
from parvis.common.town.loading import load_town_config
from parvis.common.town.models import TownConfig
from parvis.common.town.yaml_documents import closest_match

Check = Callable[[Path, TownConfig], list[str]]


def register(commands: Commands) -> None:
    command = commands.add_parser("config", help="check a town's configuration")
    check = command.add_subparsers(metavar="check", required=True).add_parser(
        "check", help="check all files; exit 78 after an error with file, line and fix"
    )
    check.add_argument("folder", type=Path, metavar="DIR")
    check.set_defaults(run=_check)
    settings = commands.add_parser("settings", help="list the environment variables of a service")
    settings.add_argument("service", help="such as router, or common for those of all services")
    settings.set_defaults(run=_settings)


def _check(arguments: argparse.Namespace) -> int:
    town_config = load_town_config(arguments.folder)
    print(f"{len(town_config.departments)} departments, {len(town_config.procedures)} procedures")
    print(f"{len(load_answer_texts(arguments.folder, town_config))} answer texts")
    for point in sorted(entry_points(group="parvis.config_checks"), key=lambda p: p.name):
        check: Check = point.load()
        for line in check(arguments.folder, town_config):
            print(line)
    print(f"{arguments.folder}: no errors")
    return 0


def settings_class(service: str) -> type[SharedSettings] | type[ServiceSettings]:
    """Find the settings class of a service. Raises: Rejected, for an unknown service, naming those that there are."""
    if service == "common":
        return SharedSettings
    if service not in (known := services_with_settings()):
        raise Rejected(f"unknown service: {service}. {closest_match(service, known)}")
    return importlib.import_module(f"parvis.{service.replace('-', '_')}.settings").Settings


def services_with_settings() -> list[str]:
    """List what has settings of its own: `common`, those of all services, then each installed service."""
    members = (module.name for module in pkgutil.iter_modules(parvis.__path__))
    with_settings = (name for name in members if importlib.util.find_spec(f"parvis.{name}.settings"))
    return ["common", *(name.replace("_", "-") for name in with_settings)]


def _settings(arguments: argparse.Namespace) -> int:
    rows = environment_variables(settings_class(arguments.service))
    width = max(len(row[0]) for row in rows)
    for name, kind, default, description in rows:
        print(f"{name:<{width}}  {kind} = {default}\n{'':<{width}}  {description}")
    return 0
