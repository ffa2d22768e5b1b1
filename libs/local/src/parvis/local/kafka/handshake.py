"""A port in, a broker's own answer out: Kafka's Metadata request by hand, which takes a millisecond and no client."""

import contextlib
import socket
import struct

_METADATA, _VERSION, _CORRELATION = 3, 1, 7
_ALL_TOPICS = -1


def answers(port: int, *, timeout_s: float = 1.0) -> bool:
    """Tell whether a broker serves requests here, and knows of a live broker and a controller.

    Source: Kafka protocol guide, "Metadata Request (Version: 1)". A KRaft broker answers nothing before it is unfenced.
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
            + struct.pack(">i", _ALL_TOPICS)
        )
        connection.sendall(struct.pack(">i", len(request)) + request)
        (size,) = struct.unpack(">i", _read(connection, 4))
        answer = _read(connection, size)
        correlation, brokers = struct.unpack(">ii", answer[:8])
        return correlation == _CORRELATION and brokers > 0
    return False


def _read(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        part = connection.recv(size - len(received))
        if not part:
            raise ConnectionResetError
        received += part
    return received
