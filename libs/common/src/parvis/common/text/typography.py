"""Sets a sentence as its language prints it: curved apostrophes, and in French no line that begins with `:` or `»`. Pure; no I/O."""

import re

_APOSTROPHE = re.compile(r"(?<=[^\W\d_])'(?=[^\W\d_])")
_FRENCH_SPACE = re.compile(
    r" (?=[:;?!»])|(?<=«) "
    r"|(?<=\d) (?=(?:h|€|%)(?!\w))|(?<=\d h) (?=\d)"  # 9 h 30
    r"|(?<=\b\d\d) (?=\d\d\b)"  # 05 36 49 01 01
)


def typeset(sentence: str, language: str) -> str:
    """The sentence with typographic apostrophes, and with no-break spaces around French punctuation, in hours, amounts and telephone numbers. Idempotent."""
    curved = _APOSTROPHE.sub("’", sentence)
    return _FRENCH_SPACE.sub("\N{NO-BREAK SPACE}", curved) if language == "fr" else curved
