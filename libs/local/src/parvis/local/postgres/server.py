"""Starts, stops and kills one PostgreSQL server on a data folder."""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from threading import Event

from parvis.common.contract.errors import Misconfigured, Unavailable
from parvis.local.free_ports import HOST
from parvis.local.postgres import unprivileged_folder
from parvis.local.process import ManagedProcess
from parvis.local.process_registry import ProcessRegistry
from parvis.local.waiting import NEVER, wait_until

_READY_WITHIN_S = 300
_OWNER, _DATABASE = "parvis", "parvis"

# A power cut may lose rows; `kill -9` of the server loses none, because they are in the page cache.
_VOLATILE_SETTINGS = {"fsync": "off", "full_page_writes": "off"}
_MOST_BUFFERS_MB = 2048

# Error messages of PostgreSQL, and advice for the user.
_REASONS = {
    "No space left on device": "the disk is full. Free space and start again",
    "Address already in use": "its port is in use. Stop the program that listens there, or set PARVIS_PORTS=free",
    "Cannot allocate memory": "the machine has not enough free memory. Close other programs and start again",
    "Permission denied": "its folder is not writable. Make the user who starts Parvis its owner",
    "is not compatible with this version": "its data were written by another major version. Move the folder away, or dump and restore it",
    "pre-existing shared memory block": "another PostgreSQL still uses these data. Stop it and start again",
}


class PostgresServer:
    """The embedded PostgreSQL: one database `parvis`, owned by the role `parvis`, which is not a superuser."""

    def __init__(
        self, *, folder: Path, port: int, password: str, ledger: ProcessRegistry, log: Path, fsync: bool = True
    ) -> None:
        self.folder = folder
        self.port = port
        self.log = log
        self._password = password
        self._fsync = fsync
        self._location: unprivileged_folder.ServerLocation | None = None
        self.process = ManagedProcess(
            name="postgres", command=[], ledger=ledger, log=log, folder=Path("/"), stop_signal=signal.SIGINT
        )

    def url(self, database: str = _DATABASE) -> str:
        """Give the URL for asyncpg through SQLAlchemy. It contains the password: do not log it."""
        return f"postgresql+asyncpg://{_OWNER}:{self._password}@{HOST}:{self.port}/{database}"

    def start(self, *, report: Callable[[str], None], stopping: Event = NEVER) -> None:
        """Start on the existing data folder, or on a new one.

        Raises: Unavailable, with the reason and what to do; StartInterrupted.
        """
        unprivileged_folder.remove_abandoned()
        self._location = location = unprivileged_folder.prepare_location(self.folder)
        if not (location.data / "PG_VERSION").exists():
            report("creating the database")
            self._initialise(location)
        self._launch(location)
        if not self._wait_until_ready(stopping):
            self.process.kill()
            raise Unavailable(f"PostgreSQL did not start: {self._failure_reason(self._output()) or f'see {self.log}'}")
        self._check_password()

    def _locate(self) -> unprivileged_folder.ServerLocation:
        if not self._location:
            raise LookupError("the server was never started")
        return self._location

    def forget(self) -> None:
        """Remove the private folder below the system's temporary folder, if there is one."""
        if self._location and self._location.private:
            shutil.rmtree(self._location.private, ignore_errors=True)

    def run_sql(self, statement: str, *, database: str = _DATABASE) -> str:
        """Run one statement as the owner. Gives psql's unaligned output.

        Raises: Unavailable, with PostgreSQL's error message.
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
            raise Unavailable(f"PostgreSQL refused the statement: {done.stderr.strip()}")
        return done.stdout.strip()

    def drop(self, database: str) -> None:
        """Terminate our connections to a database and drop it, if it exists.

        Without WITH (FORCE), which fails if an autovacuum worker is connected; a plain DROP ends that worker itself.
        """
        own_connections = f"datname = '{database}' AND usename = current_user"
        terminate = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {own_connections}"  # noqa: S608
        self.run_sql(terminate, database="postgres")
        self.run_sql(f'DROP DATABASE IF EXISTS "{database}"', database="postgres")

    def _initialise(self, location: unprivileged_folder.ServerLocation) -> None:
        """Create the data folder, the role and the database under another name, then move them into place."""
        new = location.data.with_name("data.new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        if location.user:
            os.chown(new, location.user.uid, location.user.gid)
        # Built-in Unicode rules do not depend on the machine's locales. --no-sync: after a power cut this step is repeated.
        locale = ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=PG_UNICODE_FAST", "--locale=C"]
        with tempfile.TemporaryFile("w+") as secret:
            secret.write(secrets.token_hex(32) + "\n")
            secret.seek(0)
            if location.user:  # initdb opens the file again, by its descriptor
                os.fchown(secret.fileno(), location.user.uid, location.user.gid)
            # Nobody keeps the superuser's password: nothing logs in as it.
            login = ["--username=postgres", "--auth=scram-sha-256", f"--pwfile=/dev/fd/{secret.fileno()}"]
            self._run(
                location, ["initdb", "-D", str(new), *login, *locale, "--no-sync", "--no-instructions"], secret.fileno()
            )
        role = f"CREATE ROLE {_OWNER} LOGIN CREATEDB PASSWORD '{self._password}';\n"
        database = f"CREATE DATABASE {_DATABASE} OWNER {_OWNER};\n"
        self._run(location, ["postgres", "--single", "-D", str(new), "postgres"], stdin=role + database)
        location.data.rmdir() if location.data.exists() else None
        new.replace(location.data)

    def _run(
        self, location: unprivileged_folder.ServerLocation, command: list[str], *descriptors: int, stdin: str = ""
    ) -> None:
        done = subprocess.run(
            [str(location.programs / command[0]), *command[1:]],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={"LC_ALL": "C"},
            cwd="/",
            pass_fds=descriptors,
            user=location.user.uid if location.user else None,
            group=location.user.gid if location.user else None,
            extra_groups=[] if location.user else None,
        )
        if done.returncode or "ERROR:" in done.stderr or "FATAL:" in done.stderr:
            output = done.stdout + done.stderr
            raise Unavailable(
                f"PostgreSQL's data folder could not be created: {self._failure_reason(output) or _last_line(output)}"
            )

    def _check_password(self) -> None:
        try:
            self.run_sql("select 1")
        except Unavailable as error:
            self.process.stop(3)
            raise Misconfigured(
                f"PostgreSQL's data in {self.folder} have another password: secrets.json was replaced",
                mend=f"restore the old secrets.json, or delete {self.folder} with all data",
            ) from error

    def _launch(self, location: unprivileged_folder.ServerLocation) -> None:
        settings = {
            "port": str(self.port),
            "listen_addresses": HOST,
            "unix_socket_directories": "",  # TCP with a password is the only way in
            "max_connections": "200",  # ten services with a pool of ten each, and the tests
            **(_durable_settings() if self._fsync else _VOLATILE_SETTINGS),
            "log_min_messages": "warning",
            "log_line_prefix": "%m %q%a: ",
            "log_parameter_max_length": "0",  # no personal data in the log
            "log_parameter_max_length_on_error": "0",
            "log_error_verbosity": "terse",  # DETAIL would show values of a row that violates a constraint
            "log_min_error_statement": "panic",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self.process.command = [str(location.programs / "postgres"), "-D", str(location.data), *options]
        self.process.user = location.user
        self.process.environment = {"LC_ALL": "C"}
        self._log_start_bytes = self.log.stat().st_size if self.log.exists() else 0
        self.process.start()

    def _wait_until_ready(self, stopping: Event) -> bool:
        wait_until(
            lambda: not self.process.is_running or self._is_answering(), seconds=_READY_WITHIN_S, stopping=stopping
        )
        return self.process.is_running

    def _is_answering(self) -> bool:
        """Read postmaster.pid, as pg_ctl does: another server on the port makes no difference."""
        with contextlib.suppress(OSError, IndexError):
            lines = (self._locate().data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
            return lines[0] == str(self.process.pid) and lines[7].strip() == "ready"
        return False

    def _output(self) -> str:
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(self._log_start_bytes)
            return log.read().decode("utf-8", "replace")

    @staticmethod
    def _failure_reason(output: str) -> str | None:
        return next((advice for words, advice in _REASONS.items() if words in output), None)


def _last_line(output: str) -> str:
    lines = [line for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "no error message"


def _durable_settings() -> dict[str, str]:
    """Give the settings of a database that lasts. Keys are hashes, so that writes are spread over the whole index.

    PostgreSQL's defaults are for the smallest machines: with ten million contacts stored, another one costs three times more than with
    none, because the indexes do not fit into 128 MB and each checkpoint, due after 1 GB, causes full-page writes.
    """
    memory_mb = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1024**2
    buffers_mb = min(memory_mb // 4, _MOST_BUFFERS_MB)  # a quarter, as the manual recommends; allocated only when used
    return {"shared_buffers": f"{buffers_mb}MB", "max_wal_size": "4GB", "checkpoint_timeout": "15min"}
