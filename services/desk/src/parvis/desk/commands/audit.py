"""Adds `parvis audit verify`: follows the chain of the audit trail and says where it breaks."""

import argparse
import asyncio
import re
import sys

from parvis.common.cli.argparse_types import Commands
from parvis.common.runtime.settings import SharedSettings, load_settings
from parvis.common.storage.postgres import Database
from parvis.desk.store.audit_trail import AuditVerdict, read_hash, verify_audit


def register(actions: Commands) -> None:
    verify = actions.add_parser("verify", help="compute every hash of the audit trail anew; exit 1 if one differs")
    verify.add_argument(
        "--head",
        metavar="NUMBER:HASH",
        type=_noted_head,
        default="",
        help="a head noted earlier: shows whether the end was cut off since",
    )
    verify.set_defaults(run=_run_verify)


def _noted_head(text: str) -> str:
    if text and not re.fullmatch(r"[0-9]{1,18}:[0-9a-f]{64}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no NUMBER:HASH, as this command prints it after `head`")
    return text


def _run_verify(given: argparse.Namespace) -> int:
    return asyncio.run(_verify(given.head))


async def _verify(head: str) -> int:
    database = Database(load_settings(SharedSettings).database_url.get_secret_value(), service="desk-command")
    number, _, noted = head.partition(":")
    async with database.transaction() as connection:
        verdict = await verify_audit(connection)
        found = await read_hash(connection, int(number)) if number.isdecimal() and len(number) < 19 else None
    await database.close()
    fault = verdict.fault or _fault_of_head(head, noted, found)
    if fault:
        sys.stderr.write(f"audit trail: {fault}\n")
        return 1
    print(describe(verdict))
    return 0


def _fault_of_head(head: str, noted: str, found: bytes | None) -> str:
    if not head or (found is not None and found.hex() == noted):
        return ""
    return f"the noted head {head} is not in the trail: its end was cut off or replaced"


def describe(verdict: AuditVerdict) -> str:
    """One line, with the head to note where the database's owner cannot change it."""
    return f"{verdict.entries} entries, unbroken; head {verdict.entries}:{verdict.head.hex()}"
