"""Finds free TCP ports and holds them, so that two stacks never take the same one."""

import random
import socket
import sys
from contextlib import suppress

import psutil

from parvis.common.contract.errors import Misconfigured

# Above the ports of common services, and below the range of outgoing connections (Linux from 32768, macOS from
# 49152): a port in that range may be taken by another program between two starts of a broker.
_LOWEST, _HIGHEST = 20000, 32000
HOST = "127.0.0.1"


class FreePorts:
    """Chooses free ports and reserves each with a socket until `release`.

    On Linux a bound socket that does not listen and allows reuse keeps the system from assigning the port to others,
    while a server (which sets SO_REUSEADDR) can still listen on it. On other systems the port is not reserved.
    """

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []

    def take(self) -> int:
        for _ in range(1000):
            port = random.randint(_LOWEST, _HIGHEST)  # noqa: S311 (no secret)
            if self._reserve(port):
                return port
        raise Misconfigured(
            f"no free port between {_LOWEST} and {_HIGHEST}", mend="stop the programs that listen there"
        )

    def _reserve(self, port: int) -> bool:
        reservation = socket.socket()
        try:
            reservation.bind((HOST, port))
        except OSError:
            reservation.close()
            return False
        if sys.platform == "linux":
            reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._sockets.append(reservation)
        else:
            reservation.close()
        return True

    def release(self) -> None:
        while self._sockets:
            self._sockets.pop().close()


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen()
        except OSError:
            return False
    return True


def owner_of(port: int) -> str:
    """Name the process that listens on a port, such as "java (pid 123)", if this user may see it."""
    with suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return "another program"


def check_free(ports: dict[str, int]) -> None:
    """Check that all of these ports are free.

    Raises: Misconfigured, naming each port in use, the process that uses it, and what to do.
    """
    in_use = [
        f"port {port} ({name}) is in use by {owner_of(port)}" for name, port in ports.items() if not is_free(port)
    ]
    if in_use:
        raise Misconfigured("; ".join(in_use), mend="stop that program, or set PARVIS_PORTS=free")
