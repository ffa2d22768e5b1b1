"""Adds `parvis desk`: accounts, cases, search index, corrected letters; `parvis audit`: the audit trail; and the check of `access.yaml`."""

from pathlib import Path

from parvis.common.cli.argparse_types import Commands
from parvis.common.town.models import TownConfig
from parvis.desk.commands import audit, corrected_texts, desk_accounts, rebuild, reindex
from parvis.desk.fetch.access_file import load_access_rules


def register(commands: Commands) -> None:
    desk = commands.add_parser(
        "desk", help="the desk: accounts of people and programs, its cases, its search index, corrected letters"
    )
    actions = desk.add_subparsers(metavar="ACTION", required=True)
    desk_accounts.register(actions)
    rebuild.register(actions)
    reindex.register(actions)
    corrected_texts.register(actions)
    trail = commands.add_parser("audit", help="the audit trail of the desk")
    audit.register(trail.add_subparsers(metavar="ACTION", required=True))


def check(folder: Path, town_config: TownConfig) -> list[str]:
    """Check `access.yaml`, for `parvis config check`."""
    rules = load_access_rules(folder, town_config)
    if not (folder / "access.yaml").exists():
        return ["no access.yaml: no case is confidential, every agent of a department reads all its cases"]
    return [f"{len(rules.confidential.departments)} confidential departments, {len(rules.claims)} grants by claims"]
