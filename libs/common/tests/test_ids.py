"""Ids of ours are version 5 of RFC 9562, whoever computes them."""

import uuid

from hypothesis import given
from hypothesis import strategies as st

from parvis.common.ids import id_of


@given(st.uuids(), st.text(st.characters(exclude_categories=["Cs"])))
def test_it_is_the_id_that_the_standard_library_computes(namespace: uuid.UUID, name: str) -> None:
    assert id_of(namespace, name) == str(uuid.uuid5(namespace, name))
