"""Tells the machine's trouble (memory, file descriptors, disk) from a record's fault."""

import errno

from parvis.common.contract.errors import Unavailable
from parvis.common.runtime.redaction import flatten_exception_group

# What the record's own names and numbers can cause, or a bug; every other errno is the machine's.
_OF_THE_RECORD = frozenset(
    {
        *(errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.E2BIG, errno.EDOM, errno.ERANGE),
        *(errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY, errno.ELOOP, errno.EBADF),
    }
)
_OF_THE_NETWORK = (ConnectionError, TimeoutError)  # also without an errno, as asyncio raises them


def raise_if_machine_at_fault(error: Exception) -> None:
    """Raise: MemoryError, or Unavailable for an OSError of the machine, wherever in a group they stand."""
    parts = flatten_exception_group(error) if isinstance(error, ExceptionGroup) else [error]
    for part in parts:
        if isinstance(part, MemoryError):
            raise part
    for part in parts:
        if isinstance(part, Unavailable):
            raise part
        if isinstance(part, OSError) and _is_of_the_machine(part):
            name = errno.errorcode.get(part.errno or 0, type(part).__name__)
            raise Unavailable(f"the machine is in trouble ({name})") from error


def _is_of_the_machine(error: OSError) -> bool:
    """Libraries raise OSError without an errno for damaged files: those are the record's."""
    return isinstance(error, _OF_THE_NETWORK) or (error.errno is not None and error.errno not in _OF_THE_RECORD)
