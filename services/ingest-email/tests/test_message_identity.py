"""Tests the identity of a mail."""

from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from parvis.ingest_email.parse import message_identity
from parvis.ingest_email.parse.message_identity import identify_message

MAIL = b"Message-ID: <1@b.example>\r\nSubject: x\r\n\r\nBonjour\r\n"


def test_line_ends_and_trace_fields_do_not_count() -> None:
    way = b"Received: from x\r\n\tby y; now\r\nReturn-Path: <a@b>\r\n"
    assert identify_message(MAIL) == identify_message(MAIL.replace(b"\r\n", b"\n")) == identify_message(way + MAIL)


def test_everything_else_counts() -> None:
    assert identify_message(MAIL) != identify_message(MAIL.replace(b"Bonjour", b"Bonsoir"))
    assert identify_message(MAIL) != identify_message(MAIL.replace(b"1@b", b"2@b"))


def test_a_folded_message_id_is_the_same() -> None:
    assert identify_message(b"message-id :\r\n <1@b.example>\r\n\r\n").message_id == b"<1@b.example>"


@given(
    st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"Received: x", b" ", b"Message-ID: <1@b>", b"."]), max_size=40)
)
def test_it_does_not_depend_on_where_the_pieces_end(parts: list[bytes]) -> None:
    whole = identify_message(b"".join(parts))
    for size in range(1, 5):
        with patch.object(message_identity, "_PIECE_BYTES", size):
            assert identify_message(b"".join(parts)) == whole


def test_of_an_endless_head_the_first_part_is_searched() -> None:
    endless = b"X: y\r\n" * 100_000
    assert identify_message(b"Received: by x\r\n" + MAIL[:28] + endless).message_id == b"<1@b.example>"
    assert identify_message(endless + MAIL).message_id == b""
    assert identify_message(endless + MAIL) != identify_message(endless + MAIL.replace(b"1@b", b"2@b"))


def test_each_mailbox_has_its_own_contact() -> None:
    identity = identify_message(MAIL)
    assert identity.contact_id("a@town.example") != identity.contact_id("b@town.example")


def test_a_body_that_looks_like_a_head_is_a_body() -> None:
    assert identify_message(b"Subject: x\n\nMessage-ID: <no@b.example>\n").message_id == b""


@given(st.binary())
def test_no_bytes_are_too_strange(content: bytes) -> None:
    assert identify_message(content) == identify_message(content)
    identify_message(content).contact_id("a@b.example")
