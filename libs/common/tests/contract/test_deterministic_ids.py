"""Tests that ids are versions 5 and 8 of RFC 9562, and the same for the same input."""

import uuid
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from parvis.common.contract.deterministic_ids import deterministic_id, time_ordered_id


@given(st.uuids(), st.text(st.characters(exclude_categories=["Cs"])))
def test_it_is_the_id_that_the_standard_library_computes(namespace: uuid.UUID, name: str) -> None:
    assert deterministic_id(namespace, name) == str(uuid.uuid5(namespace, name))


@given(
    st.uuids(),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.datetimes(datetime(1970, 1, 2), timezones=st.just(UTC)),  # noqa: DTZ001 (the zone is added)
)
def test_with_an_instant_it_begins_with_its_milliseconds(namespace: uuid.UUID, name: str, at: datetime) -> None:
    made = uuid.UUID(time_ordered_id(namespace, name, at))
    assert (made.version, made.variant) == (8, uuid.RFC_4122)
    assert made.int >> 80 == int(at.timestamp() * 1000)
    assert made.int & (1 << 62) - 1 == uuid.uuid5(namespace, name).int & (1 << 62) - 1
