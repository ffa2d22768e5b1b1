"""Counts the SMS segments of a text. Pure; no I/O.

Source: 3GPP TS 23.038 (the alphabet), TS 23.040 (a part of a long message loses 7 letters or 3 UCS-2 units to its header).
"""

_ONE_UNIT = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_TWO_UNITS = frozenset("^{}\\[~]|€\f")


def count_sms_segments(text: str) -> int:
    """Count the billed segments of a text; an empty text is one."""
    if all(letter in _ONE_UNIT or letter in _TWO_UNITS for letter in text):
        units, alone, parted = sum(2 if letter in _TWO_UNITS else 1 for letter in text), 160, 153
    else:
        units, alone, parted = len(text.encode("utf-16-be", "surrogatepass")) // 2, 70, 67
    return 1 if units <= alone else -(-units // parted)
