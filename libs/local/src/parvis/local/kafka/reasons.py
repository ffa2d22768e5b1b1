"""Maps the last words of a failed broker to what a person can do about it. Data only."""

_MEMORY = "the machine has no memory left for it (it takes 400 MB). Close something and start again"

_REASONS = {
    "No space left on device": "the disk is full. Make room and start again",
    "Address already in use": "its port is taken. Stop what listens there, or start with PARVIS_PORTS=free",
    "Cannot allocate memory": _MEMORY,
    "insufficient memory": _MEMORY,
    "Could not reserve enough space": _MEMORY,
    "Could not create the Java Virtual Machine": _MEMORY,
    "OutOfMemoryError": "its 512 MB of memory were not enough",
    "Permission denied": "its folder cannot be written to. Give it to the user who starts Parvis",
    "AccessDeniedException": "its folder cannot be written to. Give it to the user who starts Parvis",
}


def failure_reason(output: str) -> str | None:
    """Give the sentence for the first thing that is known; None when nothing is."""
    return next((why for words, why in _REASONS.items() if words in output), None)
