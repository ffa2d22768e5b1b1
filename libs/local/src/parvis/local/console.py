"""Merges the output of many processes into one stream, each line prefixed with its process's name."""

import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TextIO

_COLOURS = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)
_OURS = "parvis"


class Console:
    """Whole lines only, one at a time, also when nobody reads any more."""

    def __init__(self, names: Iterable[str] = (), *, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._lock = threading.Lock()
        self._is_terminal = self._stream.isatty()
        known = [_OURS, *sorted(names)]
        self._width = max(map(len, known))
        self._colours = {name: _COLOURS[place % len(_COLOURS)] for place, name in enumerate(known)}

    def print_line(self, sentence: str) -> None:
        self._print(_OURS, sentence)

    def prefixed_writer(self, name: str) -> Callable[[str], None]:
        return lambda line: self._print(name, line)

    def plain(self, line: str) -> None:
        """A line for programs: no prefix, flushed."""
        self._write(line)

    def _print(self, name: str, line: str) -> None:
        prefix = f"{name:<{self._width}} |"
        if self._is_terminal:
            prefix = f"\x1b[{self._colours.get(name, 37)}m{prefix}\x1b[0m"
        self._write(f"{prefix} {line}")

    def _write(self, line: str) -> None:
        try:
            with self._lock:
                self._stream.write(f"{line}\n")
                self._stream.flush()
        except (OSError, ValueError):
            # The reader has gone (`parvis up | head`): the processes still have to be emptied, or they would stand still.
            return


class QuietConsole(Console):
    """Our own sentences for people; what the processes say goes to a file each."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def prefixed_writer(self, name: str) -> Callable[[str], None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        file = (self._folder / f"{name}.log").open("a", encoding="utf-8", buffering=1)

        def write(line: str) -> None:
            file.write(f"{line}\n")

        return write


def quiet_console(_sentence: str) -> None:
    """For tests: nobody is told."""
