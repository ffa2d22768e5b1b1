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


@pytest.mark.parametrize("error", [ConnectionResetError(), TimeoutError(), OSError(errno.ECONNREFUSED, "")])
def test_a_network_that_fails_is_the_machines(error: OSError):
    with pytest.raises(Unavailable):
        raise_if_machine_at_fault(error)


@pytest.mark.parametrize("code", [errno.ENAMETOOLONG, errno.ENOENT, errno.EISDIR, errno.EEXIST])
def test_a_name_that_cannot_be_or_is_gone_is_the_records_fault(code: int):
    raise_if_machine_at_fault(OSError(code, ""))


@pytest.mark.parametrize("error", [ValueError(), OSError("cannot identify image file")])
def test_a_damaged_file_is_the_records_fault(error: Exception):
    raise_if_machine_at_fault(error)
