"""Finds free TCP ports and holds them, so that two stacks never take the same one."""

import random
import socket
import sys
from contextlib import suppress

import psutil

from parvis.common.contract.errors import Misconfigured

# Below the range from which Linux (32768) and macOS (49152) take ports for outgoing connections: a port in it can
# be lost between two starts of a broker. Above what distributions' services listen on.
_LOWEST, _HIGHEST = 20000, 32000
HOST = "127.0.0.1"


class FreePorts:
    """Ports nobody listens on, kept by a socket each until `release`.

    On Linux a bound socket that does not listen and allows reuse keeps others from being given the port,
    and still lets a server (which sets SO_REUSEADDR) listen on it. Elsewhere the port is only looked up.
    """

    def __init__(self) -> None:
        self._keepers: list[socket.socket] = []

    def take(self) -> int:
        for _ in range(1000):
            port = random.randint(_LOWEST, _HIGHEST)  # noqa: S311 (no secret)
            if self._hold(port):
                return port
        raise Misconfigured(f"no free port between {_LOWEST} and {_HIGHEST}", mend="stop what listens there")

    def _hold(self, port: int) -> bool:
        keeper = socket.socket()
        try:
            keeper.bind((HOST, port))
        except OSError:
            keeper.close()
            return False
        if sys.platform == "linux":
            keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._keepers.append(keeper)
        else:
            keeper.close()
        return True

    def release(self) -> None:
        while self._keepers:
            self._keepers.pop().close()


def is_free(port: int) -> bool:
    """Tell whether a server could listen on this port of the loopback now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen()
        except OSError:
            return False
    return True


def owner_of(port: int) -> str:
    """Name the process that listens on a port, as far as this user may know it: "java (pid 123)"."""
    with suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return "another program"


def check_free(ports: dict[str, int]) -> None:
    """Make sure that each of these ports can be listened on.

    Raises: Misconfigured, naming every one that is taken, by whom, and the way out.
    """
    taken = [f"port {port} ({name}) is taken by {owner_of(port)}" for name, port in ports.items() if not is_free(port)]
    if taken:
        raise Misconfigured("; ".join(taken), mend="stop it, or start with PARVIS_PORTS=free")
