"""Runs the real ClamAV daemon with a database of one test signature, for tests."""

import hashlib
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from parvis.local.free_ports import FreePorts
from parvis.local.waiting import wait_until

PROGRAM = shutil.which("clamd") or shutil.which("clamd", path="/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin")

# The signature in the database; harmless, and unknown to any other scanner.
A_VIRUS = b"This is what the test database of Parvis takes for a virus."


@dataclass
class ClamavDaemon:
    """A clamd process with its own port; it can be stopped and started again."""

    folder: Path
    port: int
    largest_bytes: int
    _child: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def socket_path(self) -> str:
        return str(self.folder / "clamd.sock")

    def start(self) -> None:
        assert PROGRAM  # noqa: S101 (callers check PROGRAM first)
        database = self.folder / "database"
        database.mkdir(exist_ok=True)
        (database / "test.ndb").write_text(f"Test-Signature:0:*:{A_VIRUS.hex()}\n", encoding="ascii")
        digest = hashlib.md5(A_VIRUS, usedforsecurity=False).hexdigest()
        (database / "test.hdb").write_text(f"{digest}:{len(A_VIRUS)}:Test-Hash\n", encoding="ascii")
        config = self.folder / "clamd.conf"
        config.write_text(
            f"DatabaseDirectory {database}\nForeground yes\nTCPSocket {self.port}\nTCPAddr 127.0.0.1\n"
            f"LocalSocket {self.socket_path}\nTemporaryDirectory {self.folder}\nStreamMaxLength {self.largest_bytes}\n",
            encoding="utf-8",
        )
        with (self.folder / "clamd.log").open("ab") as log:
            self._child = subprocess.Popen(
                [PROGRAM, "--config-file", str(config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        if not wait_until(self._is_answering, seconds=60):
            raise TimeoutError("ClamAV's daemon does not answer")

    def stop(self) -> None:
        if self._child:
            self._child.kill()
            self._child.wait()
            self._child = None

    def _is_answering(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
            connection.sendall(b"zPING\0")
            return connection.recv(10) == b"PONG\0"
        return False


@contextmanager
def clamd(*, largest_bytes: int = 5_000_000) -> Generator[ClamavDaemon]:
    """Run a daemon until the block ends; it answers at once."""
    ports = FreePorts()
    with tempfile.TemporaryDirectory(prefix="parvis-clamd-", ignore_cleanup_errors=True) as folder:
        port = ports.take()
        ports.release()
        daemon = ClamavDaemon(Path(folder), port, largest_bytes)
        try:
            daemon.start()
            yield daemon
        finally:
            daemon.stop()
