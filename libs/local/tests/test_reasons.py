"""Facts about what is made of a broker's last words."""

import pytest

from parvis.local.kafka.reasons import failure_reason


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("java.io.IOException: No space left on device", "the disk is full"),
        (
            "org.apache.kafka.common.KafkaException: Socket server failed to bind: Address already in use.",
            "PARVIS_PORTS=free",
        ),
        (
            "Error occurred during initialization of VM\nCould not reserve enough space for 524288 KB object heap",
            "memory",
        ),
        ("# There is insufficient memory for the Java Runtime Environment to continue.", "memory"),
    ],
)
def test_a_known_reason_has_a_way_out(said: str, sentence: str):
    assert sentence in (failure_reason(said) or "")


def test_an_unknown_reason_is_not_guessed():
    assert failure_reason("java.lang.IllegalStateException: what?") is None
