"""Stops the processes of a local stack when its supervisor dies, and removes its `up.json`."""

import signal
import subprocess
import sys
from pathlib import Path

from parvis.local.process_registry import ProcessRegistry


class Watchdog:
    """A process in its own session that stops the others after `kill -9` of the supervisor.

    It notices the end of the supervisor by a closed pipe. PR_SET_PDEATHSIG exists only on Linux, fires when the
    *thread* that started a child ends, and is cleared when a child changes its user, as PostgreSQL does under root.
    """

    def __init__(self, ledger: ProcessRegistry) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "parvis.local.watchdog", str(ledger.file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def dismiss(self) -> None:
        """End the watchdog, when every process has been stopped."""
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def main(file: str) -> int:
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    sys.stdin.buffer.read()
    Path(file).with_name("up.json").unlink(missing_ok=True)  # nobody takes a dead stack for a running one
    ProcessRegistry(Path(file)).end_leftovers()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
