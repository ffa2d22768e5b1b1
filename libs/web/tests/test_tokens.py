"""Facts about tokens: genuine, forged, changed and expired ones."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from parvis.web.tokens import (
    is_valid_csrf_token,
    make_csrf_token,
    make_one_time_token,
    read_one_time_token,
    read_signed_values,
    sign_values,
)

KEY = b"a key for tests only, not for use"
NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)


def test_a_one_time_token_gives_its_seed_and_its_age() -> None:
    once = read_one_time_token(make_one_time_token("form:meals", KEY, NOW), "form:meals", KEY)

    assert once
    assert len(once.seed) == 36
    assert not once.is_older_than(DAY, NOW + DAY)
    assert once.is_older_than(DAY, NOW + DAY + timedelta(seconds=1))


def test_a_token_for_another_form_or_key_is_nothing() -> None:
    token = make_one_time_token("form:meals", KEY, NOW)

    assert read_one_time_token(token, "form:roads", KEY) is None
    assert read_one_time_token(token, "form:meals", b"another key") is None


@given(st.text())
def test_no_text_of_a_stranger_is_a_token(text: str) -> None:
    assert read_one_time_token(text, "form:meals", KEY) is None
    assert not is_valid_csrf_token(text, "session", KEY, NOW, lasts=DAY)
    assert read_signed_values(text, "files", KEY) is None


def test_a_csrf_token_holds_for_its_session_and_its_time() -> None:
    token = make_csrf_token("session", KEY, NOW)

    assert is_valid_csrf_token(token, "session", KEY, NOW + DAY, lasts=DAY)
    assert not is_valid_csrf_token(token, "other", KEY, NOW, lasts=DAY)
    assert not is_valid_csrf_token(token, "session", KEY, NOW + 2 * DAY, lasts=DAY)


def test_sealed_values_come_back_or_not_at_all() -> None:
    sealed = sign_values({"blob": "a/b", "name": "été.pdf"}, "files", KEY)

    assert read_signed_values(sealed, "files", KEY) == {"blob": "a/b", "name": "été.pdf"}
    assert read_signed_values(sealed, "other", KEY) is None
    assert read_signed_values("x" + sealed, "files", KEY) is None


def test_an_instant_that_is_none_is_not_asked_about() -> None:
    assert not is_valid_csrf_token("999999999999.x", "session", KEY, NOW, lasts=DAY)
