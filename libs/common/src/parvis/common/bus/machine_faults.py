"""Tells the machine's trouble (memory, file descriptors, disk) from a record's fault."""

import errno

from parvis.common.contract.errors import Unavailable
from parvis.common.runtime.redaction import flatten_exception_group

# What the record's own names and numbers can cause; every other errno is the machine's.
_OF_THE_RECORD = frozenset({errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.E2BIG, errno.EDOM, errno.ERANGE})


def raise_if_machine_at_fault(error: Exception) -> None:
    """Raise: MemoryError, or Unavailable for an OSError of the machine, wherever in a group they stand."""
    parts = flatten_exception_group(error) if isinstance(error, ExceptionGroup) else [error]
    for part in parts:
        if isinstance(part, MemoryError):
            raise part
    for part in parts:
        if isinstance(part, Unavailable):
            raise part
        if isinstance(part, OSError) and part.errno not in _OF_THE_RECORD:
            name = errno.errorcode.get(part.errno or 0, type(part).__name__)
            raise Unavailable(f"the machine is in trouble ({name})") from error
