"""Adds `parvis notifier posted`: the print shop, or whoever carries its letters to the post, has posted a batch."""

import argparse
import asyncio
import sys

from parvis.common.cli.argparse_types import Commands
from parvis.common.runtime.settings import load_settings
from parvis.notifier.decide.print_batch import is_batch_name
from parvis.notifier.settings import Settings


def register(actions: Commands) -> None:
    posted = actions.add_parser("posted", help="the letters of a batch are in the post")
    posted.add_argument("batch", metavar="BATCH", help="batch-2026-11-23-1, the name of its folder")
    posted.set_defaults(run=_run)


def _run(given: argparse.Namespace) -> int:
    return asyncio.run(_posted(given.batch))


async def _posted(batch: str) -> int:
    """Leave the print shop's word in the folder of letters, as it could itself; the running notifier takes it up."""
    if not is_batch_name(batch):
        sys.stderr.write(f"{batch} is not the name of a batch\n")
        return 1
    folder = load_settings(Settings).letters_dir
    await asyncio.to_thread((folder / f"{batch}.posted").touch)
    print(f"{batch}: noted; the desk shows it within a minute")
    return 0
