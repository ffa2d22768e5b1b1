"""Adds `parvis backup` and `parvis restore` to the command line."""

import argparse
from datetime import UTC
from pathlib import Path

from parvis.common.cli.argparse_types import Commands


def register(commands: Commands) -> None:
    backup = commands.add_parser(
        "backup", help="back up the town that runs on this machine into a new folder of FOLDER, while it runs"
    )
    backup.add_argument("folder", metavar="FOLDER", type=Path, help="folder of the backups, better on another disk")
    backup.add_argument("--keep", metavar="N", type=_positive, help="delete the oldest backups beyond N")
    backup.set_defaults(run=_backup)
    restore = commands.add_parser("restore", help="restore a backup into the empty folder PARVIS_VAR")
    restore.add_argument("backup", metavar="BACKUP", type=Path, help="folder of one backup")
    restore.set_defaults(run=_restore, starts_town=True)


def _positive(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 100_000:
        raise argparse.ArgumentTypeError("a number from 1")
    return int(text)


def _backup(arguments: argparse.Namespace) -> int:
    # Imported here: `parvis --help` does not load Java's wheel and psutil.
    from parvis.local import host_environment
    from parvis.local.backup.back_up import back_up, find_town

    town = find_town(host_environment.current_environment())
    back_up(town, arguments.folder, report=print, keep=arguments.keep)
    return 0


def _restore(arguments: argparse.Namespace) -> int:
    from parvis.local import host_environment
    from parvis.local.backup.restore import restore

    environment = host_environment.current_environment()
    var = host_environment.var_folder(environment)
    manifest = restore(arguments.backup, var, report=print)
    print(
        f"restored to {var}: all that was accepted before {manifest.began_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC is there"
    )
    print(f"Next: PARVIS_VAR={var} PARVIS_CONFIG_DIR={var / 'config'} parvis up")
    return 0
