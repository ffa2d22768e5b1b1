"""Asks a service for /ready, or whether anything listens on a port."""

import contextlib
import http.client
import socket

from parvis.local.free_ports import HOST


def ready_answer(port: int, *, timeout_s: float = 2.0) -> tuple[int, str]:
    """The status and the words of /ready; status 0 when nobody answers."""
    connection = http.client.HTTPConnection(HOST, port, timeout=timeout_s)
    try:
        connection.request("GET", "/ready")
        answer = connection.getresponse()
        return answer.status, answer.read(2000).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return 0, "no answer yet"
    finally:
        connection.close()


def is_ready(port: int) -> bool:
    return ready_answer(port)[0] == 200


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return True
    return False
