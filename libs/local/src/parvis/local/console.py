"""Merges the output of many processes into one stream, each line prefixed with its process's name."""

import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TextIO

_COLOURS = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)
_OURS = "parvis"


class Console:
    """Writes whole lines, one at a time. A closed output is ignored."""

    def __init__(self, names: Iterable[str] = (), *, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._lock = threading.Lock()
        self._is_terminal = self._stream.isatty()
        all_names = [_OURS, *sorted(names)]
        self._width = max(map(len, all_names))
        self._colours = {name: _COLOURS[index % len(_COLOURS)] for index, name in enumerate(all_names)}

    def print_line(self, sentence: str) -> None:
        self._print(_OURS, sentence)

    def prefixed_writer(self, name: str) -> Callable[[str], None]:
        return lambda line: self._print(name, line)

    def plain(self, line: str) -> None:
        """Write a line for programs, without a prefix."""
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
            # The reader is gone (`parvis up | head`). Go on reading the processes' pipes, or they would block.
            return


class QuietConsole(Console):
    """Prints only our own sentences; the output of each process goes to its own file."""

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
    """Discard a sentence, in tests."""
