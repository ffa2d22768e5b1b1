"""Maps error messages of a failed broker to advice for the user. Data only."""

_MEMORY = "the machine has not enough free memory (Kafka takes 400 MB). Close other programs and start again"

_REASONS = {
    "No space left on device": "the disk is full. Free space and start again",
    "Address already in use": "its port is in use. Stop the program that listens there, or set PARVIS_PORTS=free",
    "Cannot allocate memory": _MEMORY,
    "insufficient memory": _MEMORY,
    "Could not reserve enough space": _MEMORY,
    "Could not create the Java Virtual Machine": _MEMORY,
    "OutOfMemoryError": "its 512 MB of memory were not enough",
    "Permission denied": "its folder is not writable. Make the user who starts Parvis its owner",
    "AccessDeniedException": "its folder is not writable. Make the user who starts Parvis its owner",
}


def failure_reason(output: str) -> str | None:
    """Give the advice for the first known message in the output; None if there is none."""
    return next((advice for words, advice in _REASONS.items() if words in output), None)
