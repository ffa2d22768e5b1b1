"""Facts about the machine's trouble, which is no record's fault."""

import errno

import pytest

from parvis.common.bus.machine_faults import raise_if_machine_at_fault
from parvis.common.contract.errors import Unavailable


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENOSPC, errno.EIO, errno.ENOMEM])
def test_an_error_of_the_machine_is_held(code: int):
    with pytest.raises(Unavailable):
        raise_if_machine_at_fault(ExceptionGroup("tasks", [ValueError(), OSError(code, "")]))


def test_too_little_memory_ends_the_process():
    with pytest.raises(MemoryError):
        raise_if_machine_at_fault(ExceptionGroup("tasks", [MemoryError()]))


def test_a_name_that_is_too_long_is_the_records_fault():
    raise_if_machine_at_fault(OSError(errno.ENAMETOOLONG, ""))
    raise_if_machine_at_fault(ValueError())
