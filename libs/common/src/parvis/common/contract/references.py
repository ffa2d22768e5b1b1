"""Makes the reference that a citizen can quote from a contact id, and finds references in text. Pure; no I/O."""

import hashlib
import re

from parvis.common.contract.contact import ContactId
from parvis.common.contract.text_limit import TEXT_LIMIT_BYTES

REFERENCE_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's: no I, L, O, U


def make_reference(contact: ContactId) -> str:
    """The reference of a contact, such as P-7F3K-2Q9X-M4TC: 55 bits of a hash of its id and a check character.

    The check character is a weighted sum over GF(32): it detects every single wrong character and every swap of two.
    """
    number = int.from_bytes(hashlib.sha256(contact.encode()).digest()[:7], "big") >> 1
    symbols = [number >> (5 * position) & 31 for position in range(10, -1, -1)]
    symbols.append(_check_symbol(symbols))
    text = "".join(REFERENCE_ALPHABET[symbol] for symbol in symbols)
    return f"P-{text[:4]}-{text[4:8]}-{text[8:]}"


def find_references(text: str) -> list[str]:
    """The valid references in a text, in order, each once. Accepts any case, missing hyphens, and O, I, L for 0, 1, 1."""
    references: list[str] = []
    for match in _QUOTED.finditer(text[:TEXT_LIMIT_BYTES].upper()):
        typed = "".join(match.group(1, 2, 3)).translate(LOOK_ALIKES)
        symbols = [REFERENCE_ALPHABET.find(character) for character in typed]
        if -1 not in symbols and _check_symbol(symbols[:-1]) == symbols[-1]:
            references.append(f"P-{typed[:4]}-{typed[4:8]}-{typed[8:]}")
    return list(dict.fromkeys(references))


_QUOTED = re.compile(r"\bP[- ]?([0-9A-Z]{4})[- ]?([0-9A-Z]{4})[- ]?([0-9A-Z]{4})\b")


LOOK_ALIKES = str.maketrans("OIL", "011")


def _check_symbol(symbols: list[int]) -> int:
    total = 0
    for symbol in symbols:
        total = _multiply_by_x(total ^ symbol)
    return total


def _multiply_by_x(symbol: int) -> int:
    """Multiply by x in GF(32) modulo x^5 + x^2 + 1."""
    symbol <<= 1
    return symbol ^ 0b100101 if symbol & 32 else symbol
