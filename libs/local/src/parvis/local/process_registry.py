"""Registers started processes on disk, so that the next start ends those that a killed supervisor left behind."""

import contextlib
import json
import os
import signal
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from parvis.local.private_file import open_private
from parvis.local.waiting import wait_until

MARK = "PARVIS_LEDGER"  # environment variable of every child and its descendants: the ledger file that they belong to
_CLOCK_SLACK_S = 3  # psutil derives start times from the wall clock, which NTP may move


@dataclass(frozen=True)
class RegisteredProcess:
    """One process. The start time tells it from a later process with the same pid."""

    name: str
    pid: int
    started_at_s: float


class ProcessRegistry:
    """A file with one line per process, written when it starts; removed when all have been stopped."""

    def __init__(self, file: Path) -> None:
        self.file = file
        file.parent.mkdir(parents=True, exist_ok=True)

    def add(self, name: str, pid: int) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            entry = RegisteredProcess(name, pid, psutil.Process(pid).create_time())
            with open(self.file, "a", encoding="utf-8", opener=open_private) as lines:
                lines.write(json.dumps(asdict(entry)) + "\n")

    def entries(self) -> list[RegisteredProcess]:
        if not self.file.exists():
            return []
        entries: list[RegisteredProcess] = []
        for line in self.file.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError, TypeError):  # a line cut by a crash
                entries.append(RegisteredProcess(**json.loads(line)))
        return entries

    def clear(self) -> None:
        self.file.unlink(missing_ok=True)

    def leftover_processes(self) -> list[psutil.Process]:
        """Find the processes of this ledger that still run, and their descendants."""
        alive = {process.pid: process for entry in self.entries() if (process := _matches(entry))}
        groups = set(alive)
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if os.getpgid(process.pid) in groups or _is_marked(process, self.file):
                    alive.setdefault(process.pid, process)
        alive.pop(os.getpid(), None)
        return list(alive.values())

    def end_leftovers(self, *, patience_s: float = 5) -> list[str]:
        """Terminate the leftover processes, then kill those that remain. Gives their names."""
        processes = self.leftover_processes()
        names = {entry.pid: entry.name for entry in self.entries()}
        ended = sorted({names[process.pid] for process in processes if process.pid in names})
        end_processes(processes, patience_s=patience_s)
        self.clear()
        return ended


def end_processes(processes: list[psutil.Process], *, patience_s: float) -> None:
    """Send SIGTERM, then SIGKILL. PostgreSQL gets SIGINT: on SIGTERM it would wait for its clients to disconnect."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(signal.SIGINT if process.name() == "postgres" else signal.SIGTERM)
            process.send_signal(signal.SIGCONT)  # a stopped process handles SIGTERM only after SIGCONT
    wait_until(lambda: not any(map(is_running, processes)), seconds=patience_s)
    for process in filter(is_running, processes):
        with contextlib.suppress(psutil.Error):
            process.kill()
    wait_until(lambda: not any(map(is_running, processes)), seconds=2)


def is_running(process: psutil.Process) -> bool:
    """Whether the process runs. A zombie does not count: an orphan stays one until init reaps it."""
    with contextlib.suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _matches(entry: RegisteredProcess) -> psutil.Process | None:
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(entry.pid)
        if abs(process.create_time() - entry.started_at_s) <= _CLOCK_SLACK_S and is_running(process):
            return process
    return None


def _is_marked(process: psutil.Process, file: Path) -> bool:
    return process.environ().get(MARK) == str(file) and is_running(process)
