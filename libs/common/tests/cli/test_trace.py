"""Tests that `parvis trace` shows records that are no events of ours."""

import pytest

from parvis.common.bus.cloudevents import ReceivedRecord
from parvis.common.cli.trace import describe_event


@pytest.mark.parametrize("headers", [(), (("ce_type", b"\xff"), ("ce_time", b""))])
def test_a_record_without_an_event_is_shown_by_its_position(headers: tuple[tuple[str, bytes], ...]) -> None:
    assert describe_event(ReceivedRecord("topic", 3, 17, b"", b"", headers)).endswith("(no id)  topic[3]@17")
