"""Facts about the states of a delivery."""

from itertools import permutations

import pytest

from parvis.common.contract.delivery import is_late_bounce, outranks


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


@pytest.mark.parametrize(
    ("channel", "failure_class", "last_word"),
    [
        ("post", "unreachable", "undelivered"),
        ("email", "permanent", "undelivered"),
        ("email", "temporary", "delivered"),
        ("sms", "permanent", "delivered"),
    ],
)
@pytest.mark.parametrize("order", [("delivered", "undelivered"), ("undelivered", "delivered")])
def test_what_came_back_was_not_delivered_whoever_said_so_first(
    order: tuple[str, str], channel: str, failure_class: str, last_word: str
):
    first, then = order
    moves = outranks(then, first, came_back=is_late_bounce(channel, failure_class))

    assert (then if moves else first) == last_word
