"""Takes the network from this process and from what it starts: Linux refuses it every new socket."""

import ctypes
import platform
import struct
import sys

_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER_MODE = 38, 22, 2
_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050001  # SECCOMP_RET_ALLOW; SECCOMP_RET_ERRNO with EPERM
_NUMBER_AT, _ARCHITECTURE_AT = 0, 4  # offsets in struct seccomp_data
_X32_BIT = 0x40000000
_IO_URING_SETUP = 425  # its ring opens sockets without socket(2)
# Of each machine: its audit architecture, and the number of socket(2).
_MACHINES = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def deny_network() -> bool:
    """Refuse new sockets of all families with EPERM, for ever. Gives whether the system could; elsewhere nothing changes.

    What is open already, such as the pipes to the pool, goes on.
    Source: seccomp(2); linux/filter.h.
    """
    machine = _MACHINES.get(platform.machine())
    if sys.platform != "linux" or machine is None or ctypes.sizeof(ctypes.c_void_p) != 8:
        return False
    instructions = _instructions(*machine)
    program = _Program(len(instructions) // 8, instructions)
    prctl = ctypes.CDLL(None).prctl
    prctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_ulong]
    if prctl(_NO_NEW_PRIVILEGES, 1, None, 0, 0):
        return False
    return prctl(_SET_SECCOMP, _FILTER_MODE, ctypes.addressof(program), 0, 0) == 0


def _instructions(architecture: int, socket: int) -> bytes:
    """Encode the filter; a jump skips as many instructions as it says when it is true, and when it is false."""
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_JUMP_IF_EQUAL, 0, 5, architecture),  # calls in the manner of another machine are refused
        (_LOAD, 0, 0, _NUMBER_AT),
        (_JUMP_IF_AT_LEAST, 3, 0, _X32_BIT),
        (_JUMP_IF_EQUAL, 2, 0, socket),
        (_JUMP_IF_EQUAL, 1, 0, _IO_URING_SETUP),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)
