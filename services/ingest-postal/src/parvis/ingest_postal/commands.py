"""Adds the command `parvis separators`, which prints sheets for the mail room."""

import argparse
from pathlib import Path

from parvis.common.cli.argparse_types import Commands, day, file_to_write
from parvis.common.contract.errors import Misconfigured
from parvis.common.runtime.settings import load_settings
from parvis.ingest_postal.settings import SheetSettings

_MOST = 1000


def register(commands: Commands) -> None:
    command = commands.add_parser("separators", help="separator sheets for the scanner")
    actions = command.add_subparsers(metavar="print", required=True)
    printing = actions.add_parser("print", help="write the sheets as an A4 PDF")
    printing.add_argument(
        "--kind",
        choices=("letter", "batch"),
        default="letter",
        help="a separator between letters, or the cover sheet of a batch",
    )
    printing.add_argument(
        "--count", type=_count, default=1, metavar="N", help="number of pages; print on both sides of the paper"
    )
    printing.add_argument(
        "--received", type=day, metavar="DATE", help="day on which the batch was received: 2026-11-23"
    )
    printing.add_argument("-o", "--output", type=file_to_write, default=Path("sheets.pdf"), metavar="FILE")
    printing.set_defaults(run=_print)


def _print(arguments: argparse.Namespace) -> int:
    from parvis.ingest_postal.render.separator_sheets import render_sheets

    is_batch = arguments.kind == "batch"
    if is_batch != (arguments.received is not None):
        raise Misconfigured("--received goes with --kind batch", mend="--kind batch --received 2026-11-23")
    key = load_settings(SheetSettings).secret_key.get_secret_value().encode() if is_batch else b""
    pdf = render_sheets(arguments.kind, count=arguments.count, received=arguments.received, key=key)
    arguments.output.write_bytes(pdf)
    print(arguments.output)
    return 0


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {_MOST}")
    return int(text)
