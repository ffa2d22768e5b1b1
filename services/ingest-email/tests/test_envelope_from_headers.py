"""Tests the envelope that is reconstructed from headers, and IMAP URLs."""

import pytest

from parvis.ingest_email.parse.envelope_from_headers import UNKNOWN_SENDER, read_envelope
from parvis.ingest_email.parse.imap_url import parse_imap_urls


@pytest.mark.parametrize(
    ("head", "sender"),
    [
        (b"Return-Path: <>\r\nFrom: a@b.example", ""),
        (b"Return-Path: <x@y.example>\r\nFrom: a@b.example", "x@y.example"),
        (b"Return-Path: x@y.example\r\n", "x@y.example"),
        (b"Return-Path:\r\nFrom: a@b.example", "a@b.example"),
        (b"From: Camille <a@b.example>", "a@b.example"),
        (b"Subject: nobody", UNKNOWN_SENDER),
        (b"", UNKNOWN_SENDER),
    ],
)
def test_only_an_empty_path_is_the_null_sender(head: bytes, sender: str):
    assert read_envelope(head + b"\r\n\r\nBonjour").sender == sender


def test_what_was_delivered_to_comes_before_what_was_written_to():
    head = b"Delivered-To: a@t.example\nDelivered-To: forged@t.example\nX-Original-To: b@t.example\nTo: C <c@t.example>, d@t.example\n\n"
    assert read_envelope(head).recipients == ("a@t.example", "b@t.example", "c@t.example", "d@t.example")


def test_the_address_of_a_mailbox_says_where_and_as_whom():
    secure, plain, upgraded = parse_imap_urls(
        "imaps://mairie@town.example@mail.example/INBOX imap://mairie%40town.example@127.0.0.1:1143/Ville imap://a@mail.example",
        may_be_plain=False,
    )
    assert (secure.user, secure.host, secure.port, secure.folder) == (
        "mairie@town.example",
        "mail.example",
        993,
        "INBOX",
    )
    assert (plain.user, plain.port, plain.folder, plain.is_plain) == ("mairie@town.example", 1143, "Ville", True)
    assert (upgraded.port, upgraded.is_tls, upgraded.is_plain) == (143, False, False)


@pytest.mark.parametrize(
    "url", ["mail.example", "pop3://a@mail.example", "imaps://mail.example", "imaps://a:secret@mail.example"]
)
def test_a_wrong_address_is_told_without_its_password(url: str):
    with pytest.raises(ValueError, match=r"imaps://|password") as told:
        parse_imap_urls(url, may_be_plain=False)
    assert "secret" not in str(told.value)
