"""Parses BER and DER (X.690) as far as S/MIME needs it. Pure; no I/O."""

from collections.abc import Iterator
from dataclasses import dataclass

_DEEPEST = 40
_MOST = 20_000


class DerError(Exception):
    """Not what it announces."""


@dataclass(frozen=True)
class DerElement:
    """One element: its tag, its content, and all of it as it was written."""

    tag: int
    content: bytes
    whole: bytes

    @property
    def is_constructed(self) -> bool:
        return bool(self.tag & 0x20)

    def children(self) -> list["DerElement"]:
        """The elements inside.

        Raises: Damaged.
        """
        return list(_parse_elements(self.content, 0))

    def octets(self) -> bytes:
        """The content of a string, which may be written in pieces."""
        return b"".join(child.octets() for child in self.children()) if self.is_constructed else self.content


def parse_der(content: bytes) -> DerElement:
    """The first element.

    Raises: Damaged.
    """
    element = next(_parse_elements(content, 0), None)
    if element is None:
        raise DerError
    return element


def _parse_elements(content: bytes, depth: int) -> Iterator[DerElement]:
    at = 0
    for _ in range(_MOST):
        if at >= len(content) or content[at : at + 2] == b"\x00\x00":
            return
        element, at = _parse_element(content, at, depth)
        yield element


def _parse_element(content: bytes, at: int, depth: int) -> tuple[DerElement, int]:
    begin = at
    if depth > _DEEPEST or at + 2 > len(content) or content[at] & 0x1F == 0x1F:
        raise DerError
    tag, length, at = content[at], content[at + 1], at + 2
    if length == 0x80:
        stop = at
        while content[stop : stop + 2] != b"\x00\x00":
            _, stop = _parse_element(content, stop, depth + 1)
        return DerElement(tag, content[at:stop], content[begin : stop + 2]), stop + 2
    if length & 0x80:
        width = length & 0x7F
        if width > 8 or at + width > len(content):
            raise DerError
        length, at = int.from_bytes(content[at : at + width], "big"), at + width
    if at + length > len(content):
        raise DerError
    return DerElement(tag, content[at : at + length], content[begin : at + length]), at + length
