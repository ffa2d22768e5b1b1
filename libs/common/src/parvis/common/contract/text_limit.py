"""Truncates text to what fits into an event: 32 KiB of UTF-8. Pure; no I/O."""

TEXT_LIMIT_BYTES = 32 * 1024


def truncate_text(text: str) -> str:
    """The beginning of a text that fits: at most 32 KiB of UTF-8, without NUL (U+FFFD instead) and without lone surrogates."""
    clean = text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace")
    return clean[:TEXT_LIMIT_BYTES].decode("utf-8", "ignore")


def exceeds_text_limit(text: str) -> bool:
    """Whether a text is too long for the event, so that the whole of it must go to a blob."""
    return len(text.encode("utf-8", "replace")) > TEXT_LIMIT_BYTES
