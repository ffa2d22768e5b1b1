"""Dumps a town's database with PostgreSQL's own programs, and restores it."""

import os
import subprocess
from pathlib import Path

from sqlalchemy import make_url

from parvis.common.contract.errors import Unavailable
from parvis.local.postgres.unprivileged_folder import shipped_programs

_WITHIN_S = 6 * 3600
# The outboxes' rows that left for Kafka after its files were copied: they leave again, under the same event ids.
_SEND_AGAIN = """
do $$ declare service text; begin
    for service in select table_schema from information_schema.tables where table_name = 'outbox' loop
        execute format('update %I.outbox set sent_at = null where sent_at >= $1', service) using timestamptz '{since}';
    end loop;
end $$
"""


def dump_database(url: str, file: Path) -> None:
    """Dump one state of the whole database, compressed. Raises: Unavailable, with PostgreSQL's error message."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        _run("pg_dump", url, "--format=custom", "--no-owner", "--no-privileges", stdout=opened.fileno())
        os.fsync(opened.fileno())


def restore_database(url: str, file: Path, *, send_again_since: str) -> None:
    """Restore a dump into an empty database. Raises: Unavailable, with PostgreSQL's error message.

    Shape: send_again_since, an ISO 8601 instant: events that were relayed to Kafka from then on are relayed once more.
    """
    _run(
        "pg_restore",
        url,
        "--no-owner",
        "--exit-on-error",
        "--single-transaction",
        f"--dbname={_database(url)}",
        str(file),
    )
    _run("psql", url, "-XqAt", "-v", "ON_ERROR_STOP=1", "-c", _SEND_AGAIN.format(since=send_again_since))


def _database(url: str) -> str:
    return make_url(url).database or ""


def _run(program: str, url: str, *arguments: str, stdout: int = subprocess.PIPE) -> None:
    address = make_url(url)
    login = {
        "PGHOST": address.host or "127.0.0.1", "PGPORT": str(address.port or 5432), "PGUSER": address.username or "",
        "PGPASSWORD": str(address.password or ""), "PGDATABASE": address.database or "", "PGCONNECT_TIMEOUT": "10",
    }  # fmt: skip
    command = [str(shipped_programs() / "bin" / program), *arguments]
    done = subprocess.run(
        command, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=_WITHIN_S, check=False, env=login
    )
    if done.returncode:
        reason = next((line for line in done.stderr.splitlines() if "error" in line.lower()), done.stderr.strip())
        raise Unavailable(f"{program}: {reason}")
