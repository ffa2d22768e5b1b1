"""Decodes and cleans the text of submitted forms; long ones one after another beside the event loop."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar
from urllib.parse import unquote_plus

Argument = TypeVar("Argument")
Outcome = TypeVar("Outcome")
Texts = dict[str, list[str]]
_CONTROLS = {code: "\N{REPLACEMENT CHARACTER}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}
_SHORT_TEXT_BYTES = 32 * 1024
_long_texts = ThreadPoolExecutor(1, thread_name_prefix="long-form")  # one at a time: several would take the loop's time


async def in_turn(text_bytes: int, work: Callable[[Argument], Outcome], argument: Argument) -> Outcome:
    """Do it at once for the text that people type. A long one waits for its turn in a thread: percent signs take a second a megabyte."""
    if text_bytes <= _SHORT_TEXT_BYTES:
        return work(argument)
    return await asyncio.get_running_loop().run_in_executor(_long_texts, work, argument)


def decode_texts(encoded: Sequence[tuple[bytes, bytes]]) -> tuple[Texts, Texts]:
    return clean_texts([tuple(unquote_plus(each.decode("latin-1")) for each in pair) for pair in encoded])


def clean_texts(texts: Sequence[tuple[str, ...]]) -> tuple[Texts, Texts]:
    """The texts by the names of their fields, cleaned and as they were typed."""
    fields, typed = Texts(), Texts()
    for name, value in texts:
        fields.setdefault(name, []).append(clean_text(value))
        typed.setdefault(name, []).append(_normalize_line_ends(value))
    return fields, typed


def clean_text(text: str) -> str:
    """The text without control characters (except line feed and tab) and lone surrogates, so that it can be stored anywhere."""
    return _normalize_line_ends(text).translate(_CONTROLS).encode("utf-8", "replace").decode()


def _normalize_line_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
