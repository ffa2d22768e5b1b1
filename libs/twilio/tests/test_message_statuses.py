"""Facts about Twilio's message statuses."""

import pytest

from parvis.twilio.message_statuses import delivery_state, has_failed


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("sent", "accepted"),
        ("Delivered", "delivered"),
        ("read", "delivered"),
        ("canceled", "failed"),
        ("receiving", None),
    ],
)
def test_a_status_is_a_state_of_the_delivery(status: str, state: str | None) -> None:
    assert delivery_state(status) == state


def test_an_undelivered_message_has_failed() -> None:
    assert has_failed("undelivered")
    assert has_failed("failed")
    assert not has_failed("accepted")
