"""A namespace and a name in, the same id ever after out: a UUID as text. Pure; no I/O."""

import hashlib
from datetime import datetime
from uuid import UUID


def id_of(namespace: UUID, name: str) -> str:
    """`str(uuid.uuid5(namespace, name))`, in a third of its time: a routed contact needs two."""
    return _written(_hash(namespace, name), version=5)


def timed_id_of(namespace: UUID, name: str, at: datetime) -> str:
    """The same with 48 bits of an instant before the hash, in milliseconds: version 8 of RFC 9562, ordered as version 7 is.

    Why: what is new lies side by side in an index, which ten million old ones then do not make slower.
    """
    milliseconds = int(at.timestamp() * 1000) & 0xFFFF_FFFF_FFFF
    return _written(bytearray(milliseconds.to_bytes(6, "big")) + _hash(namespace, name)[6:], version=8)


def _hash(namespace: UUID, name: str) -> bytearray:
    return bytearray(hashlib.sha1(namespace.bytes + name.encode(), usedforsecurity=False).digest()[:16])


def _written(digest: bytearray, *, version: int) -> str:
    digest[6] = digest[6] & 0x0F | version << 4
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
