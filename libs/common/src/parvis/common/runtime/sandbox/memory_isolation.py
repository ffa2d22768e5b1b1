"""Hides this process's memory, environment and open files from other processes of the same user."""

import ctypes
import sys

_SET_DUMPABLE = 4


def isolate_process() -> None:
    """Let no other process of this user look into this one: on Linux `/proc/<pid>/environ` and `mem` are open to all of them.

    A parser that hostile bytes have taken over would read the secrets of the service that started it, and the next citizen's file in
    the worker beside it. What the process starts is open again, and closes itself.
    Source: prctl(2), PR_SET_DUMPABLE; proc(5).
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_DUMPABLE, 0, 0, 0, 0)
