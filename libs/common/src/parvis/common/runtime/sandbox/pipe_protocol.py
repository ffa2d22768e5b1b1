"""Encodes and reads the frames that a pool and its workers exchange over two pipes: a kind, a length, bytes."""

import struct
from collections.abc import Iterable, Iterator
from typing import BinaryIO

Frame = tuple[bytes, bytes]
"""A kind of one letter, and its bytes."""

HEADER = struct.Struct(">cQ")

# The plumbing's own kinds; those of a module are letters. After LAST_WORDS the worker ends.
HELLO, END, TROUBLE, FATAL = b"?", b".", b"!", b"#"


def encode_frames(frames: Iterable[Frame]) -> Iterator[bytes]:
    """Give the pieces to write; large payloads are not copied."""
    for kind, payload in frames:
        yield HEADER.pack(kind, len(payload))
        yield payload


def read_job(stream: BinaryIO) -> list[Frame] | None:
    """Read the frames of the next job. Gives None when the other side has closed the pipe."""
    frames: list[Frame] = []
    while len(head := stream.read(HEADER.size)) == HEADER.size:
        kind, length = HEADER.unpack(head)
        payload = stream.read(length)
        if kind == END:
            return frames
        frames.append((kind, payload))
    return None
