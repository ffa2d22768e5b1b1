"""The process that meets hostile bytes: mails in on one pipe, what they say out on another; limited, without secrets, killed at will."""

import contextlib
import ctypes
import os
import resource
import signal
import sys
import warnings
from typing import BinaryIO

from parvis.ingest_email.parse.mail import parse
from parvis.ingest_email.read import frames

_STACK_FRAMES = 600  # nested parts end in a RecursionError early, not after seconds


def main(memory_bytes: int, cpu_s: int) -> None:
    """Read one mail after another until the reader closes the pipe."""
    answers = _keep_output_to_ourselves()
    _limit(memory_bytes)
    sys.setrecursionlimit(_STACK_FRAMES)
    warnings.simplefilter("ignore")
    parse(b"From: <a@b.example>\nContent-Type: text/html\n\n<p>warm</p>")
    _send(answers, frames.frame(frames.HELLO))
    while (content := frames.read_frame(sys.stdin.buffer)) is not None:
        _allow_cpu(cpu_s)
        _send(answers, frames.answer(*parse(content)))


def _allow_cpu(cpu_s: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + 1 + cpu_s
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))  # SIGXCPU ends the process


def _keep_output_to_ourselves() -> BinaryIO:
    """What a parser prints may quote the mail: nothing of that reaches a log, or the pipe of the answers."""
    answers = os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "wb") as nothing:  # noqa: PTH123 (a device, not a path)
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)
    return answers


def _limit(memory_bytes: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the service, which then closes the pipe
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    with contextlib.suppress(ValueError, OSError):  # macOS does not limit address space
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    if sys.platform == "linux":  # PR_SET_PDEATHSIG: a killed service leaves no reader behind
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _send(answers: BinaryIO, content: bytes) -> None:
    answers.write(content)
    answers.flush()


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        main(int(sys.argv[1]), int(sys.argv[2]))
