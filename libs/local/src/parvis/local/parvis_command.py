"""Runs one `parvis` command to its end and raises with its output when it fails."""

from threading import Event

from parvis.common.contract.errors import EXIT_MISCONFIGURED, Misconfigured, Unavailable
from parvis.local.process import ManagedProcess
from parvis.local.waiting import wait_until

_WITHIN_S = 300


def run_parvis_command(process: ManagedProcess, stopping: Event) -> None:
    """Run a command to its end.

    Raises: Misconfigured or Unavailable, with the last line of its output; StartInterrupted.
    """
    process.start()
    try:
        wait_until(lambda: not process.is_running, seconds=_WITHIN_S, stopping=stopping)
    finally:
        if not process.wait(0):
            process.kill()
    if process.exit_code:
        last_line = next((line for line in reversed(process.tail()) if line.strip()), "no error message")
        error_type = Misconfigured if process.exit_code == EXIT_MISCONFIGURED else Unavailable
        raise error_type(f"{process.name}: {last_line.removeprefix('parvis: ').removeprefix('misconfigured: ')}")
