"""Runs one program in its own process group, registers it and captures its output."""

import contextlib
import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

from parvis.local.private_file import open_private
from parvis.local.process_registry import MARK, ProcessRegistry, is_running
from parvis.local.waiting import wait_until


@dataclass(frozen=True)
class UnixUser:
    """The user that a process runs as, if it is not the current user."""

    uid: int
    gid: int


@dataclass
class ManagedProcess:
    """A child process with its own process group; killing it kills the group.

    `show` gets each line of output; without it the output goes directly to `log`, which costs no thread.
    """

    name: str
    command: Sequence[str]
    ledger: ProcessRegistry
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    show: Callable[[str], None] | None = None
    user: UnixUser | None = None
    folder: Path | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    last_lines: deque[str] = field(default_factory=lambda: deque[str](maxlen=20))
    _child: subprocess.Popen[bytes] | None = None
    _reader: threading.Thread | None = None
    _is_cleared: bool = True

    def start(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.last_lines.clear()
        self._is_cleared = False
        with open(self.log, "ab", opener=open_private) as log:
            self._child = subprocess.Popen(
                list(self.command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if self.show else log,
                stderr=subprocess.STDOUT,
                env={**self.environment, MARK: str(self.ledger.file)},
                cwd=self.folder,
                start_new_session=True,
                umask=0o077,
                user=self.user.uid if self.user else None,
                group=self.user.gid if self.user else None,
                extra_groups=[] if self.user else None,
            )
        self.ledger.add(self.name, self._child.pid)
        if self.show and self._child.stdout:
            arguments = (self._child.stdout, self.show)
            self._reader = threading.Thread(target=self._read, args=arguments, name=f"log-{self.name}", daemon=True)
            self._reader.start()

    @property
    def pid(self) -> int:
        if not self._child:
            raise LookupError(f"{self.name} was never started")
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code; None while the process runs and before it is started."""
        return self._child.poll() if self._child else None

    @property
    def is_running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def signal(self, number: int) -> None:
        """Send a signal to the process and to its group."""
        if self._child and not self._is_cleared:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._child.pid, number)

    def ask_to_stop(self) -> None:
        """Send the stop signal to the process only: it stops its own workers, as PostgreSQL must."""
        if self.is_running:
            self.signal(signal.SIGCONT)
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, self.stop_signal)

    def kill(self) -> None:
        """Kill the process and all its descendants; none is left when this returns."""
        # PostgreSQL's backends have their own sessions, so the group does not include them.
        descendants = self._descendants()
        self.signal(signal.SIGKILL)
        for process in descendants:
            with contextlib.suppress(psutil.Error):
                process.kill()
        wait_until(lambda: not any(map(is_running, descendants)), seconds=5)
        self.wait(None)

    def wait(self, timeout_s: float | None) -> bool:
        """Wait until the process has ended, then kill what is left of its group. Gives whether it ended in time."""
        if not self._child:
            return True
        try:
            self._child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        self.signal(signal.SIGKILL)
        self._is_cleared = True
        if self._reader:
            self._reader.join(timeout=2)
        return True

    def stop(self, patience_s: float) -> None:
        self.ask_to_stop()
        if not self.wait(patience_s):
            self.kill()

    def tail(self) -> list[str]:
        """Give the last lines of its output."""
        if self.show:
            return list(self.last_lines)
        if not self.log.exists():
            return []
        return self.log.read_bytes()[-4000:].decode("utf-8", "replace").splitlines()[-20:]

    def _descendants(self) -> list[psutil.Process]:
        if self.is_running:
            with contextlib.suppress(psutil.Error):
                return psutil.Process(self.pid).children(recursive=True)
        return []

    def _read(self, output: IO[bytes], show: Callable[[str], None]) -> None:
        with output:
            for line in output:
                text = line.decode("utf-8", "replace").rstrip("\r\n")
                self.last_lines.append(text)
                show(text)
