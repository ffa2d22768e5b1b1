"""What the reader and its worker say to each other over two pipes: a kind, a length, bytes."""

import struct
from typing import BinaryIO

from parvis.ingest_postal.tables import MediaType, Shape

HEADER = struct.Struct(">cI")
NUMBER = struct.Struct(">I")
FRAME_LIMIT_BYTES = 16 * 1024 * 1024

# The reader asks
JOB, SCAN = b"J", b"S"
# The worker answers
HELLO, COUNT, PICTURE, PAGE, DONE, TROUBLE = b"H", b"C", b"I", b"P", b"D", b"T"


class Job(Shape):
    """What is to be read, and how much it may take; the scan follows."""

    media_type: MediaType
    pages: int
    batch_pages: int = 0
    pixels: int
    cpu_s: int


def frame(kind: bytes, payload: bytes = b"") -> bytes:
    return HEADER.pack(kind, len(payload)) + payload


def read_frame(stream: BinaryIO) -> tuple[bytes, bytes] | None:
    """The next frame; none when the other side is gone."""
    header = stream.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    kind, length = HEADER.unpack(header)
    payload = stream.read(length)
    return (kind, payload) if len(payload) == length else None
