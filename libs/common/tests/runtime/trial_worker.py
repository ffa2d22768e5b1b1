"""Does to itself what hostile bytes do to parsers; a worker that test_sandbox starts."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

from parvis.common.runtime.sandbox.child import arguments, serve
from parvis.common.runtime.sandbox.pipe_protocol import Frame

_GET_DUMPABLE = 3

kept: list[bytes] = []


def handle(job: list[Frame]) -> Iterator[Frame]:  # noqa: C901, PLR0912 (a table of misfortunes)
    what = job[0][1].decode()
    yield b"F", b"first"
    match what.split():
        case ["say", *words]:
            yield from ((b"W", word.encode()) for word in words)
        case ["echo"]:
            yield from job[1:]
        case ["who"]:
            yield b"P", str(os.getpid()).encode()
            yield b"A", " ".join(arguments()).encode()
            yield b"E", repr(sorted(os.environb)).encode()
        case ["connect", family]:
            yield b"S", _open_socket(getattr(socket, family)).encode()
        case ["closed"]:
            yield b"D", str(ctypes.CDLL(None).prctl(_GET_DUMPABLE, 0, 0, 0, 0)).encode()
        case ["print"]:
            print("Madame Dupont")  # noqa: T201
            subprocess.run(["sh", "-c", "echo Madame Dupont >&2"], check=True)
        case ["raise"]:
            raise ValueError("Madame Dupont")
        case ["nest"]:
            yield b"N", str(_nested(10**9)).encode()
        case ["memory"]:
            kept.append(bytes(2**40))
        case ["many", count]:
            yield from ((b"M", b"") for _ in range(int(count)))
        case ["large", size]:
            yield b"L", bytes(int(size))
        case ["nonsense"]:
            yield b"\x00", b""
        case ["turn"]:
            while True:
                pass
        case ["hang"]:
            time.sleep(3600)
        case ["child"]:
            subprocess.Popen(["sleep", "3600"])
            os.kill(os.getpid(), signal.SIGSEGV)
        case ["once", flag]:  # dies the first time only
            os.kill(os.getpid(), signal.SIGKILL) if not _met(flag) else None
        case _:
            os.kill(os.getpid(), getattr(signal, what))


def _nested(depth: int) -> int:
    return _nested(depth - 1) if depth else 0


def _open_socket(family: socket.AddressFamily) -> str:
    try:
        socket.socket(family).close()
    except OSError as error:
        return type(error).__name__
    return "opened"


def _met(name: str) -> bool:
    """Whether a first worker was here: files cannot be written, folders can be made."""
    try:
        os.mkdir(name)  # noqa: PTH102
    except FileExistsError:
        return True
    return False


def warm() -> None:
    if arguments() == ["lame"]:
        raise ImportError("no such library")


if __name__ == "__main__":
    if len(sys.argv) > 3 and sys.argv[3] == "dead":
        sys.exit(3)
    serve(handle, warm=warm)
