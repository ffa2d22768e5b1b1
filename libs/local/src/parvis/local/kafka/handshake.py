"""Asks a broker for its metadata by a hand-made request, which takes a millisecond and needs no client library."""

import contextlib
import socket
import struct

_METADATA, _VERSION, _CORRELATION = 3, 2, 7
_NO_TOPICS = 0


def fetch_cluster_id(port: int, *, timeout_s: float = 1.0) -> str | None:
    """Give the cluster whose broker serves requests here; None when there is none.

    Source: Kafka protocol guide, "Metadata Request (Version: 2)". A KRaft broker answers nothing before it is unfenced.
    """
    with (
        contextlib.suppress(OSError, struct.error),
        socket.create_connection(("127.0.0.1", port), timeout_s) as connection,
    ):
        connection.settimeout(timeout_s)
        client = b"parvis-local"
        request = (
            struct.pack(">hhih", _METADATA, _VERSION, _CORRELATION, len(client))
            + client
            + struct.pack(">i", _NO_TOPICS)
        )
        connection.sendall(struct.pack(">i", len(request)) + request)
        (size,) = struct.unpack(">i", _read(connection, 4))
        answer = _read(connection, size)
        correlation, brokers = struct.unpack_from(">ii", answer)
        place = 8
        for _ in range(brokers if correlation == _CORRELATION else 0):
            _, place = _string(answer, place + 4)  # after the node id: the host
            _, place = _string(answer, place + 4)  # after the port: the rack
        return _string(answer, place)[0] if brokers > 0 else None
    return None


def is_answering(port: int) -> bool:
    return fetch_cluster_id(port) is not None


def _string(answer: bytes, place: int) -> tuple[str | None, int]:
    (size,) = struct.unpack_from(">h", answer, place)
    end = place + 2 + max(size, 0)
    return (answer[place + 2 : end].decode() if size >= 0 else None), end


def _read(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        part = connection.recv(size - len(received))
        if not part:
            raise ConnectionResetError
        received += part
    return received
