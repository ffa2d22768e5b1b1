"""`parvis rules`: what an operator asks about the routing rules."""

import argparse
from pathlib import Path

from parvis.common.cli.commands import Commands
from parvis.common.directory import load_directory
from parvis.router.rules import check


def register(commands: Commands) -> None:
    command = commands.add_parser("rules", help="check the routing rules")
    actions = command.add_subparsers(metavar="check", required=True)
    checking = actions.add_parser("check", help="read and compile them; exit 78 names file, line and mend")
    checking.add_argument("folder", type=Path, metavar="DIR")
    checking.set_defaults(run=_check)


def _check(arguments: argparse.Namespace) -> int:
    for line in check(arguments.folder, load_directory(arguments.folder)):
        print(line)
    return 0
