"""Serves jobs inside a sandboxed process: resource limits, no network, no secrets, no output but the answers."""

import contextlib
import ctypes
import math
import os
import resource
import signal
import sys
import warnings
from collections.abc import Callable, Iterable
from typing import BinaryIO

from parvis.common.runtime.sandbox import pipe_protocol
from parvis.common.runtime.sandbox.memory_isolation import isolate_process
from parvis.common.runtime.sandbox.network_isolation import deny_network
from parvis.common.runtime.sandbox.pipe_protocol import END, FATAL, HELLO, TROUBLE, Frame

HandleJob = Callable[[list[Frame]], Iterable[Frame]]


def serve(handle: HandleJob, *, warm: Callable[[], None]) -> None:
    """Run one job after another until the pool closes the pipe: the body of a worker module's `__main__`.

    Shape:  `handle` yields frames whose kinds are letters; each is sent at once. `warm` does once what every job needs.
    Raises: nothing. What `handle` raises ends its job with words for people; after a lack of memory the process ends too.
    """
    memory_bytes, cpu_s = int(sys.argv[1]), int(sys.argv[2])
    answers = _redirect_output()
    isolate_process()
    deny_network()
    _limit_resources(memory_bytes)
    warnings.simplefilter("ignore")
    with contextlib.suppress(BrokenPipeError):
        _warm_up(answers, warm)
        while (job := pipe_protocol.read_job(sys.stdin.buffer)) is not None:
            _allow_cpu(cpu_s)
            last = _run_job(handle, job, answers)
            _send(answers, last)
            if last[0] == FATAL:
                return


def arguments() -> list[str]:
    """Give the arguments of the pool beside the limits."""
    return sys.argv[3:]


def _warm_up(answers: BinaryIO, warm: Callable[[], None]) -> None:
    try:
        warm()
    except BaseException as error:
        _send(answers, (FATAL, type(error).__name__.encode()))
        raise
    _send(answers, (HELLO, b""))


def _run_job(handle: HandleJob, job: list[Frame], answers: BinaryIO) -> Frame:
    """Run a job and give its last frame. A library's own message may quote the citizen and stays here."""
    try:
        for frame in handle(job):
            _send(answers, frame)
    except MemoryError:
        return FATAL, b"needs more memory than allowed"
    except RecursionError:
        return TROUBLE, b"too deeply nested"
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 (whatever hostile bytes provoke)
        return TROUBLE, f"damaged file ({type(error).__name__})".encode()
    return END, b""


def _allow_cpu(cpu_s: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = math.ceil(used.ru_utime + used.ru_stime) + cpu_s
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))  # SIGXCPU ends the process


def _redirect_output() -> BinaryIO:
    """Discard what parsers print, which may quote the citizen: it reaches neither a log nor the pipe of the answers."""
    answers = os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "wb") as nothing:  # noqa: PTH123 (a device, not a path)
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)
    return answers


def _limit_resources(memory_bytes: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the service, which then closes the pipe
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    with contextlib.suppress(ValueError, OSError):  # macOS does not limit address space
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    if sys.platform == "linux":  # PR_SET_PDEATHSIG: a killed service leaves no worker behind
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _send(answers: BinaryIO, frame: Frame) -> None:
    answers.writelines(pipe_protocol.encode_frames([frame]))
    answers.flush()
