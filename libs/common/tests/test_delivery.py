"""Facts about the states of a delivery."""

from itertools import permutations

import pytest

from parvis.common.delivery import outranks


@pytest.mark.parametrize("reported", list(permutations(["accepted", "delivered", "unknown"])))
def test_callbacks_in_any_order_end_delivered(reported: tuple[str, ...]):
    state = "reserved"
    for word in (*reported, *reported):
        state = word if outranks(word, state) else state

    assert state == "delivered"


def test_a_failure_is_not_undone_by_a_late_acceptance():
    assert not outranks("accepted", "undelivered")
    assert outranks("delivered", "undelivered")
    assert not outranks("undelivered", "delivered")
