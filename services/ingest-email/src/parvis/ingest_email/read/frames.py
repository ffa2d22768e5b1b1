"""What the readers and their processes say to each other over two pipes: lengths, then bytes."""

import struct
from collections.abc import Sequence
from typing import BinaryIO

from parvis.ingest_email.tables import Mail

LENGTH = struct.Struct(">Q")
HELLO = b"ready"
LARGEST_BYTES = 512 * 1024 * 1024


def frame(content: bytes) -> bytes:
    return LENGTH.pack(len(content)) + content


def answer(mail: Mail, contents: Sequence[bytes]) -> bytes:
    """A mail as one frame, its attachments as one frame each behind it."""
    return b"".join([frame(mail.model_dump_json().encode()), *map(frame, contents)])


def read_frame(stream: BinaryIO) -> bytes | None:
    """The next frame; none when the other side is gone."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    content = stream.read(length)
    return content if len(content) == length else None
