"""Removes the characters that show nothing from what people type or copy. Pure; no I/O."""

import unicodedata


def remove_invisible_characters(text: str) -> str:
    """The text without format characters (zero-width space, direction marks, soft hyphen), its blanks as plain spaces, trimmed."""
    shown = ("\n" if c == "\n" else " " if c.isspace() else c for c in text if unicodedata.category(c) != "Cf")
    return "".join(shown).strip()
