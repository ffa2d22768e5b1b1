"""Adds `parvis desk corrected-texts`: the letters that agents corrected, as examples for the classifier."""

import argparse
import asyncio
import json

from parvis.common.cli.argparse_types import Commands, file_to_write
from parvis.common.contract.contact import TRIAGE
from parvis.common.runtime.settings import SharedSettings, load_settings
from parvis.common.storage.postgres import Database
from parvis.desk.store.text_correction_queries import read_corrected_texts


def register(actions: Commands) -> None:
    texts = actions.add_parser(
        "corrected-texts", help="write the letters that agents corrected, with their department, as examples for `parvis router train`"
    )  # fmt: skip
    texts.add_argument(
        "file", type=file_to_write, metavar="FILE", help="JSON Lines file to write, readable by you alone"
    )
    texts.set_defaults(run=_run)


def _run(given: argparse.Namespace) -> int:
    lines = asyncio.run(read_lines(load_settings(SharedSettings).database_url.get_secret_value()))
    with given.file.open("w", encoding="utf-8") as file:
        given.file.chmod(0o600)
        file.writelines(lines)
    print(
        f"{len(lines)} corrected letters in {given.file}; they are what citizens wrote: delete the file after training"
    )
    return 0


async def read_lines(database_url: str) -> list[str]:
    """One line for each corrected letter, but for those that are in triage: their department is not known yet."""
    database = Database(database_url, service="desk-command")
    try:
        async with database.transaction() as connection:
            texts = [text async for text in read_corrected_texts(connection) if text.department != TRIAGE]
    finally:
        await database.close()
    rows = [{"text": text.text, "label": text.department, "lang": text.language} for text in texts]
    return [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
