"""Facts about the msgspec structs: they read and write the same values and bytes as the pydantic models."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError, model_validator

from parvis.common.bus.cloudevents import ReceivedRecord
from parvis.common.contract.contact import (
    ContactReceived,
    ConversationIdentifiers,
    MachineSent,
    OcrQuality,
    ReplyAddress,
)
from parvis.common.contract.errors import Poison
from parvis.common.contract.event_base import Event
from parvis.common.contract.pydantic_to_msgspec import encode_json, json_decoder, msgspec_struct
from parvis.common.contract.reply import ReplyPersonalData, ReplyRequested
from parvis.common.contract.routing.decisions import Routing
from parvis.common.testing import AN_INSTANT, a_contact

_FULL = a_contact(
    text="Été\u2019 œuvre \U0001f6a7 \x00",
    language="fr",
    procedure="nid-de-poule",
    machine=MachineSent(reason="auto-submitted"),
    thread=ConversationIdentifiers(
        conversation_id="c", reference="r", message_id="<m@x>", in_reply_to=("<a@x>", "<b@x>")
    ),
    remarks=("low-confidence:3",),
    unreadable="no",
    ocr=OcrQuality(confidence=0.5, pages=2, page_confidences=(0.1, 1.0), low_pages=(1,)),
    dated_on="2026-03-01",
)
_WHOLE = json.loads(_FULL.model_dump_json(by_alias=True)) | {"text_overflow": {**_FULL.original.model_dump()}}
_WHOLE["attachments"] = [{**_FULL.original.model_dump(), "trouble": "x", "inline": True, "later": {"a": [1]}}]
_WHOLE["personal"]["reply_channels"] = [ReplyAddress(channel="sms", address="+33639980001").model_dump()]
_WHOLE["personal"]["answers"] = {"où": "rue des Lilas"}


def _plain(value: Any) -> Any:
    """What an event holds, whatever holds it."""
    if isinstance(value, BaseModel):
        return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
    if hasattr(value, "__struct_fields__"):
        return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, tuple):
        return tuple(_plain(member) for member in value)  # pyright: ignore[reportUnknownVariableType]
    return type(value), value


def _agree(kind: type[Event], value: bytes) -> None:
    """Whoever reads it at speed reads what the model reads, and dead-letters what the model refuses, in the same words."""
    received = ReceivedRecord("t", 0, 0, b"k", value, (("ce_type", kind.TYPE.encode()),))
    try:
        slow = kind.model_validate_json(value, by_alias=True, by_name=False)
    except (ValidationError, RecursionError):
        with pytest.raises(Poison) as fast:
            received.event((kind,), fast_models=(kind,))
        with pytest.raises(Poison) as plain:
            received.event((kind,))
        assert str(fast.value) == str(plain.value)
    else:
        assert _plain(received.event((kind,), fast_models=(kind,))) == _plain(slow)


def _paths(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()  # pyright: ignore
    return [place, *(path for name, member in inner for path in _paths(member, (*place, name)))]


def _changed(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    if not place:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)  # pyright: ignore[reportUnknownVariableType]
    if place[1:] or new is not ...:
        copy[place[0]] = _changed(copy[place[0]], place[1:], new)
    else:
        del copy[place[0]]
    return copy  # pyright: ignore[reportUnknownVariableType]


_ODD = st.sampled_from(
    [
        *(..., None, "", 0, 1, -1, 1.0, 0.5, 2, 10**30, True, [], {}, "5", "true", "x" * 321, "x" * 2001, "é\n", "fr\n"),
        *("fra", "FR", "sms", "P-6SEB-TX33-HDAY\n", "2026-03-02T09:30:00", "2026-03-02T09:30:00+02:00", "2026-03-02"),
        *("2026-03-02 09:30:00z", "2026-03-02T09:30:00.1234567Z", "2026-03-02T24:00:00Z", "2026-03-02T23:59:60Z"),
        *("2026-03-02T09:30Z", "2026-03-02T09:30:00+0200", "2026-03-02T09:30:00+25:00", "0000-01-01T00:00:00Z"),
        *("2026-02-30", "2026-03-02T09:30:00-00:00", 1772443800, 1772443800000, "1772443800", "a" * 64, ["é"], {"a": "b"}),
    ]
)  # fmt: skip
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(place=st.sampled_from(_paths(_WHOLE)), new=_ODD | _JSON)
def test_a_contact_of_any_content_is_taken_or_refused_alike(place: tuple[Any, ...], new: Any) -> None:
    if place or new is not ...:
        _agree(ContactReceived, json.dumps(_changed(_WHOLE, place, new)).encode())


@given(at=st.integers(0, 10_000), new=st.binary(max_size=4), cut=st.integers(0, 3))
def test_bytes_of_any_kind_are_taken_or_refused_alike(at: int, new: bytes, cut: int) -> None:
    value = json.dumps(_WHOLE, ensure_ascii=False).encode()
    at %= len(value)
    _agree(ContactReceived, value[:at] + new + value[at + cut :])


@pytest.mark.parametrize(
    "value",
    [
        b'{"later":"\xff"}',
        b'{"later":"\\ud800"}',
        b'{"later":NaN}',
        b'{"later":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"later":' + b"[" * 250 + b"]" * 250 + b"}",
        b'{"to":"twice"}',
        b'{"later":1e999}',
        b'{"later":' + b"9" * 5000 + b"}",
    ],
)
def test_what_stands_beside_the_members_is_taken_or_refused_alike(value: bytes) -> None:
    _agree(ContactReceived, json.dumps(_WHOLE).encode()[:-1] + b"," + value[1:])


def test_an_event_is_written_as_its_model_writes_it() -> None:
    value = _FULL.model_dump_json(exclude_none=True, by_alias=True).encode()
    assert encode_json(json_decoder(ContactReceived)(value)) == value
    routing: dict[str, Any] = {
        "conversation_id": "c", "sequence": 1, "department": "voirie", "reference": "P-6SEB-TX33-HDAY", "rule": "r",
        "rules_version": "v", "confidence": 1.0, "reason": {"fr": "é"}, "received_at": AN_INSTANT, "decided_at": AN_INSTANT,
    }  # fmt: skip
    assert (
        encode_json(msgspec_struct(Routing)(**routing))
        == Routing(**routing).model_dump_json(exclude_none=True).encode()
    )
    reply: dict[str, Any] = {
        "reply_id": "r", "conversation_id": "c", "reference": "P-6SEB-TX33-HDAY", "kind": "receipt", "department": "voirie",
        "channel_of_contact": "sms", "legal": True, "send_at": AN_INSTANT, "requested_at": AN_INSTANT, "requested_by": "router",
    }  # fmt: skip
    slow = ReplyRequested(**reply, personal=ReplyPersonalData(variables={"a": "é"}))
    fast = msgspec_struct(ReplyRequested)(**reply, personal=msgspec_struct(ReplyPersonalData)(variables={"a": "é"}))
    assert encode_json(fast) == slow.model_dump_json(exclude_none=True, by_alias=True).encode()


def test_a_model_with_rules_of_its_own_has_no_struct() -> None:
    class Strange(BaseModel):
        @model_validator(mode="after")
        def _never(self) -> "Strange":
            raise ValueError

    with pytest.raises(TypeError):
        msgspec_struct(Strange)
