"""A namespace and a name in, the same id ever after out: UUID version 5, as text. Pure; no I/O."""

import hashlib
from uuid import UUID


def id_of(namespace: UUID, name: str) -> str:
    """`str(uuid.uuid5(namespace, name))`, in a third of its time: a routed contact needs two."""
    digest = bytearray(hashlib.sha1(namespace.bytes + name.encode(), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
