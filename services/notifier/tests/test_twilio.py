"""Facts about what Twilio answers when the notifier sends a message."""

import pytest

from parvis.notifier.send.sms.twilio import outcome_of
from parvis.twilio.error_codes import ERROR_CODES, failure_class_of


@pytest.mark.parametrize("code", sorted(ERROR_CODES))
def test_a_code_means_the_same_in_an_answer_and_in_a_status_callback(code: int) -> None:
    assert outcome_of(400, code).failure_class == failure_class_of(code)


@pytest.mark.parametrize(("code", "state"), [(21612, "failed"), (30022, "retry"), (20429, "retry"), (99999, "failed")])
def test_only_what_twilio_has_not_taken_is_sent_again(code: int, state: str) -> None:
    assert outcome_of(400, code).state == state


def test_after_a_server_error_nobody_knows() -> None:
    assert outcome_of(503, 21211).state == "unknown"


def test_too_many_requests_are_sent_again_whatever_the_code() -> None:
    assert outcome_of(429, None).state == "retry"
