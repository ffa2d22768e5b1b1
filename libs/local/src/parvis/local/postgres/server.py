"""Starts, stops and kills one PostgreSQL server on a data folder."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from threading import Event

from parvis.common.contract.errors import Misconfigured, Unavailable
from parvis.local.free_ports import HOST
from parvis.local.postgres import server_location
from parvis.local.process import ManagedProcess
from parvis.local.process_registry import ProcessRegistry
from parvis.local.waiting import NEVER, wait_until

_READY_WITHIN_S = 300
_OWNER, _DATABASE = "parvis", "parvis"

# A power cut may lose rows; `kill -9` of the server loses none: they are in the system's memory by then.
_PASSING = {"fsync": "off", "full_page_writes": "off"}
_MOST_BUFFERS_MB = 2048

# What PostgreSQL says when it gives up, and what to do about it.
_REASONS = {
    "No space left on device": "the disk is full. Make room and start again",
    "Address already in use": "its port is taken. Stop what listens there, or start with PARVIS_PORTS=free",
    "Cannot allocate memory": "the machine has no memory left for it. Close something and start again",
    "Permission denied": "its folder cannot be written to. Give it to the user who starts Parvis",
    "is not compatible with this version": "its data were written by another major version. Move the folder away, or dump and load it",
    "pre-existing shared memory block": "an earlier PostgreSQL still works on these data. End it and start again",
}


class PostgresServer:
    """The embedded PostgreSQL: one database `parvis`, owned by a role `parvis` that is no superuser, as in production."""

    def __init__(
        self, *, folder: Path, port: int, password: str, ledger: ProcessRegistry, log: Path, fsync: bool = True
    ) -> None:
        self.folder = folder
        self.port = port
        self.log = log
        self._password = password
        self._fsync = fsync
        self._quarters: server_location.ServerLocation | None = None
        self.process = ManagedProcess(
            name="postgres", command=[], ledger=ledger, log=log, folder=Path("/"), stop_signal=signal.SIGINT
        )

    def url(self, database: str = _DATABASE) -> str:
        """For asyncpg through SQLAlchemy. It holds the password: not for logs."""
        return f"postgresql+asyncpg://{_OWNER}:{self._password}@{HOST}:{self.port}/{database}"

    def start(self, *, tell: Callable[[str], None], stopping: Event = NEVER) -> None:
        """Start on the data that is there, or on none.

        Raises: Unavailable, with the reason and the way out; Stopped.
        """
        server_location.remove_abandoned()
        self._quarters = place = server_location.prepare_location(self.folder)
        if not (place.data / "PG_VERSION").exists():
            tell("making the database's folder")
            self._initialise(place)
        self._launch(place)
        if not self._wait_until_ready(stopping):
            self.process.kill()
            raise Unavailable(f"PostgreSQL did not start: {self._failure_reason(self._output()) or f'see {self.log}'}")
        self._check_password()

    def _locate(self) -> server_location.ServerLocation:
        if not self._quarters:
            raise LookupError("the server was never started")
        return self._quarters

    def forget(self) -> None:
        """Remove the private room under the system's temporary folder, where there is one."""
        if self._quarters and self._quarters.private:
            shutil.rmtree(self._quarters.private, ignore_errors=True)

    def run_sql(self, statement: str, *, database: str = _DATABASE) -> str:
        """Run one statement as the owner; give what it answered, unaligned.

        Raises: Unavailable, with PostgreSQL's own words.
        """
        connection = ["-h", HOST, "-p", str(self.port), "-U", _OWNER, "-d", database]
        done = subprocess.run(
            [str(self._locate().programs / "psql"), *connection, "-XqAt", "-v", "ON_ERROR_STOP=1", "-c", statement],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={"PGPASSWORD": self._password, "PGCONNECT_TIMEOUT": "10"},
        )
        if done.returncode:
            raise Unavailable(f"PostgreSQL refused: {done.stderr.strip()}")
        return done.stdout.strip()

    def drop(self, database: str) -> None:
        """End our connections to a database, and remove it, if it is there.

        Not WITH (FORCE): that fails at an autovacuum worker, which is not ours to end and which a plain DROP ends itself.
        """
        ours = f"datname = '{database}' AND usename = current_user"
        self.run_sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ours}", database="postgres")  # noqa: S608
        self.run_sql(f'DROP DATABASE IF EXISTS "{database}"', database="postgres")

    def _initialise(self, place: server_location.ServerLocation) -> None:
        """Make the folder, the role and the database: beside the place first, so that it is there whole or not at all."""
        new = place.data.with_name("data.new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        if place.user:
            os.chown(new, place.user.uid, place.user.gid)
        # Unicode's own rules, whatever locales the machine has. --no-sync: a machine that loses power now starts anew.
        locale = ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=PG_UNICODE_FAST", "--locale=C"]
        with tempfile.TemporaryFile("w+") as secret:
            secret.write(self._password + "\n")
            secret.seek(0)
            if place.user:  # it opens the file anew, by its number
                os.fchown(secret.fileno(), place.user.uid, place.user.gid)
            # The superuser has the same password as the owner; nobody uses it.
            login = ["--username=postgres", "--auth=scram-sha-256", f"--pwfile=/dev/fd/{secret.fileno()}"]
            self._run(
                place, ["initdb", "-D", str(new), *login, *locale, "--no-sync", "--no-instructions"], secret.fileno()
            )
        role = f"CREATE ROLE {_OWNER} LOGIN CREATEDB PASSWORD '{self._password}';\n"
        database = f"CREATE DATABASE {_DATABASE} OWNER {_OWNER};\n"
        self._run(place, ["postgres", "--single", "-D", str(new), "postgres"], stdin=role + database)
        place.data.rmdir() if place.data.exists() else None
        new.replace(place.data)

    def _run(
        self, place: server_location.ServerLocation, command: list[str], *descriptors: int, stdin: str = ""
    ) -> None:
        done = subprocess.run(
            [str(place.programs / command[0]), *command[1:]],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={"LC_ALL": "C"},
            cwd="/",
            pass_fds=descriptors,
            user=place.user.uid if place.user else None,
            group=place.user.gid if place.user else None,
            extra_groups=[] if place.user else None,
        )
        if done.returncode or "ERROR:" in done.stderr or "FATAL:" in done.stderr:
            said = done.stdout + done.stderr
            raise Unavailable(
                f"PostgreSQL's folder could not be made: {self._failure_reason(said) or _last_line(said)}"
            )

    def _check_password(self) -> None:
        try:
            self.run_sql("select 1")
        except Unavailable as error:
            self.process.stop(3)
            raise Misconfigured(
                f"PostgreSQL's data in {self.folder} do not know our password: secrets.json was replaced",
                mend=f"put the old secrets.json back, or remove {self.folder} with all that is in it",
            ) from error

    def _launch(self, place: server_location.ServerLocation) -> None:
        settings = {
            "port": str(self.port),
            "listen_addresses": HOST,
            "unix_socket_directories": "",  # the password guards the only door
            "max_connections": "200",  # ten services with a pool of ten, and the tests
            **(_durable_settings() if self._fsync else _PASSING),
            "log_min_messages": "warning",
            "log_line_prefix": "%m %q%a: ",
            "log_parameter_max_length": "0",  # no personal data in the log, not even with an error
            "log_parameter_max_length_on_error": "0",
            "log_error_verbosity": "terse",  # DETAIL would show the values of a row that breaks a constraint
            "log_min_error_statement": "panic",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self.process.command = [str(place.programs / "postgres"), "-D", str(place.data), *options]
        self.process.user = place.user
        self.process.environment = {"LC_ALL": "C"}
        self._said_before = self.log.stat().st_size if self.log.exists() else 0
        self.process.start()

    def _wait_until_ready(self, stopping: Event) -> bool:
        wait_until(
            lambda: not self.process.is_running or self._is_answering(), seconds=_READY_WITHIN_S, stopping=stopping
        )
        return self.process.is_running

    def _is_answering(self) -> bool:
        """Read what it says of itself, as pg_ctl does: whoever else listens on the port is not asked."""
        with contextlib.suppress(OSError, IndexError):
            lines = (self._locate().data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
            return lines[0] == str(self.process.pid) and lines[7].strip() == "ready"
        return False

    def _output(self) -> str:
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(self._said_before)
            return log.read().decode("utf-8", "replace")

    @staticmethod
    def _failure_reason(said: str) -> str | None:
        return next((why for words, why in _REASONS.items() if words in said), None)


def _last_line(said: str) -> str:
    lines = [line for line in said.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"


def _durable_settings() -> dict[str, str]:
    """For data that shall last. What is stored is found and written by hashes, anywhere in the indexes.

    PostgreSQL's own figures are for the smallest of machines: with them a contact costs it three times more among ten million than
    among none, for pages that do not fit into 128 MB, and that each checkpoint, due after a gigabyte, has written to the log anew.
    """
    memory_mb = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1024**2
    buffers_mb = min(memory_mb // 4, _MOST_BUFFERS_MB)  # a quarter, as its manual has it; taken only as it is used
    return {"shared_buffers": f"{buffers_mb}MB", "max_wal_size": "4GB", "checkpoint_timeout": "15min"}
