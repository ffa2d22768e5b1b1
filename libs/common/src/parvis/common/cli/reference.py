"""Implements `parvis reference`: generates docs/reference from the code; `--check` lists the pages that are not current."""

import argparse
from pathlib import Path

from parvis.common.cli.argparse_types import Commands
from parvis.common.cli.reference_pages import documents


def register(commands: Commands) -> None:
    command = commands.add_parser("reference", help="generate the reference pages, or check that they are current")
    command.add_argument("--check", action="store_true", help="write nothing; exit 1 if a page is not current")
    command.add_argument("folder", type=Path, nargs="?", default=Path("docs/reference"))
    command.set_defaults(run=_reference)


def _reference(arguments: argparse.Namespace) -> int:
    pages = {arguments.folder / name: text for name, text in documents().items()}
    stale = [path for path, text in pages.items() if not path.exists() or path.read_text() != text]
    unexpected = [path for path in arguments.folder.rglob("*") if path.is_file() and path not in pages]
    if arguments.check:
        for path in (*stale, *unexpected):
            print(f"{path}: not current; run `parvis reference`")
        return 1 if stale or unexpected else 0
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(pages[path])
    for path in unexpected:
        path.unlink()
    print(f"{arguments.folder}: {len(stale)} written, {len(unexpected)} removed, {len(pages) - len(stale)} current")
    return 0
