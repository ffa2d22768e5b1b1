"""Parses BER and DER (X.690) as far as S/MIME needs it. Pure; no I/O."""

from collections.abc import Iterator
from dataclasses import dataclass

_DEEPEST = 40
_MOST = 20_000


class DerError(Exception):
    """The bytes are not well-formed BER or DER."""


@dataclass(frozen=True)
class DerElement:
    """One element: tag, content octets, and the complete encoding."""

    tag: int
    content: bytes
    encoded: bytes

    @property
    def is_constructed(self) -> bool:
        return bool(self.tag & 0x20)

    def children(self) -> list["DerElement"]:
        """Parse the elements inside.

        Raises: DerError.
        """
        return list(_parse_elements(self.content, 0))

    def octets(self) -> bytes:
        """Return the octets of a string, joined if the encoding is constructed."""
        return b"".join(child.octets() for child in self.children()) if self.is_constructed else self.content


def parse_der(content: bytes) -> DerElement:
    """Parse the first element.

    Raises: DerError.
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
    start = at
    if depth > _DEEPEST or at + 2 > len(content) or content[at] & 0x1F == 0x1F:
        raise DerError
    tag, length, at = content[at], content[at + 1], at + 2
    if length == 0x80:
        stop = at
        while content[stop : stop + 2] != b"\x00\x00":
            _, stop = _parse_element(content, stop, depth + 1)
        return DerElement(tag, content[at:stop], content[start : stop + 2]), stop + 2
    if length & 0x80:
        width = length & 0x7F
        if width > 8 or at + width > len(content):
            raise DerError
        length, at = int.from_bytes(content[at : at + width], "big"), at + width
    if at + length > len(content):
        raise DerError
    return DerElement(tag, content[at : at + length], content[start : at + length]), at + length
