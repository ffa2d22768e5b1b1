"""Makes a stranger's file name safe to show, store and send. Pure; no I/O."""

import re
import unicodedata

_MAX_CHARACTERS = 120
_MAX_EXTENSION_CHARACTERS = 10
# Control, invisible and bidi signs (U+202A–E, U+2066–9), lone surrogates, private and unassigned ones, line ends.
_INVISIBLE_CATEGORIES = frozenset(["Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"])
_PATH = re.compile(r"[/\\]")
_FORBIDDEN = re.compile(r'[:*?"<>|]')  # by one system or another


def safe_file_name(text: str) -> str:
    """Give the last part of a path, in NFC, without control, bidi or path characters; at most 120 characters, its ending kept.

    Gives: an empty name, where nothing is left; who asks knows a better word than we do.
    """
    last = [part for part in _PATH.split(text[-4000:]) if part.strip(". ")][-1:]
    composed = unicodedata.normalize("NFC", "".join(last))
    shown = "".join(" " if sign in "\t\r\n" else sign for sign in composed if _is_visible(sign))
    name = " ".join(_FORBIDDEN.sub("-", shown).split()).strip(". ")
    if len(name) <= _MAX_CHARACTERS:
        return name
    stem, dot, ending = name.rpartition(".")
    if not dot or len(ending) > _MAX_EXTENSION_CHARACTERS:
        return name[:_MAX_CHARACTERS].rstrip()
    return f"{stem[: _MAX_CHARACTERS - len(ending) - 1].rstrip()}.{ending}"


def _is_visible(sign: str) -> bool:
    return sign in "\t\r\n" or unicodedata.category(sign) not in _INVISIBLE_CATEGORIES
