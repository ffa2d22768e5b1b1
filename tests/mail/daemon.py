"""Finds a free port for a mail server and stops its processes."""

import os
import signal
import socket
import time

_END_WITHIN_S = 10


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def end(master: int) -> None:
    """SIGTERM, then SIGKILL; its children end with it. `postfix stop` returns while the master still lives."""
    os.kill(master, signal.SIGTERM)
    ends_at = time.monotonic() + _END_WITHIN_S
    while time.monotonic() < ends_at:
        try:
            os.kill(master, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    os.kill(master, signal.SIGKILL)
