"""Sets a sentence as its language prints it: curved apostrophes, and in French no line that begins with `:` or `»`. Pure; no I/O."""

import re

_APOSTROPHE = re.compile(r"(?<=[^\W\d_])'(?=[^\W\d_])")
_FRENCH_SPACE = re.compile(r" (?=[:;?!»])|(?<=«) ")


def typeset(sentence: str, language: str) -> str:
    """The sentence with typographic apostrophes, and with no-break spaces around French punctuation. Idempotent."""
    curved = _APOSTROPHE.sub("’", sentence)
    return _FRENCH_SPACE.sub("\N{NO-BREAK SPACE}", curved) if language == "fr" else curved
