"""Facts about PostgreSQL's error codes."""

import pytest

from parvis.common.contract.errors import RowLocked
from parvis.common.storage.sqlstates import unavailable_by_state


@pytest.mark.parametrize(
    "state",
    [
        "08006",
        "28P01",
        "28000",
        "3D000",
        "3F000",
        "40001",
        "40P01",
        "42501",
        "42703",
        "42P01",
        "53100",
        "53300",
        "55000",
        "57P01",
        "57014",
        "58030",
        "XX001",
        "XX000",
        "25006",
    ],
)
def test_trouble_of_the_world_or_the_operator_is_no_records_fault(state: str):
    assert unavailable_by_state(state)


@pytest.mark.parametrize("state", ["22P02", "23505", "22001", "42601", "", "P0001"])
def test_a_statements_own_fault_is_not_mapped(state: str):
    assert unavailable_by_state(state) is None


def test_a_lock_held_for_too_long_is_a_locked_row():
    assert isinstance(unavailable_by_state("55P03"), RowLocked)
