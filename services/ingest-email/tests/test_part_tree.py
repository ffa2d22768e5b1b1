"""Tests how a mail is split into MIME parts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parvis.ingest_email.models.parsed_mail import MAX_DEPTH, MAX_PARTS
from parvis.ingest_email.parse.mime.parameters import parse_field
from parvis.ingest_email.parse.mime.part_tree import MimePart, parse_part_tree
from parvis.ingest_email.parse.mime.transfer_encodings import decode_transfer, find_uuencoded_files

MIXED = b'From: a@b.example\nContent-Type: multipart/mixed; boundary="b"\n\n'


def leaves(content: bytes) -> list[tuple[str, bytes]]:
    return [(leaf.media_type, leaf.decoded.content) for leaf in parse_part_tree(content).root.leaves()]


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        (b"--b\n\none\n--b\n\ntwo\n--b--\n", [b"one", b"two"]),
        (b"--b\r\n\r\none\r\n--b--\r\n", [b"one"]),
        (b"before\n--b\n\none\n--b--\nafter\n--b\n\nnever\n", [b"one"]),
        (b"--b\n\none", [b"one"]),  # nothing closes it
        (b"--b\n--b\n\none\n--b--", [b"", b"one"]),  # a doubled delimiter is an empty part
        (b"--b  \n\none\n--b-- x\n", [b"one"]),
        (b"--b\n\none\n--bb\ntwo\n --b\n--b--\n", [b"one\n--bb\ntwo\n --b"]),  # lines that only look like it
        (b"--b\nContent-Type: text/plain\n--b--\n", [b""]),  # a head without its empty line
        (b"no delimiter\n", []),
    ],
)
def test_parts_end_at_delimiters(body: bytes, texts: list[bytes]) -> None:
    assert [text for _, text in leaves(MIXED + body)] == texts


def test_an_outer_delimiter_ends_the_inner_parts() -> None:
    inner = b'--b\nContent-Type: multipart/mixed; boundary="i"\n\n--i\n\none\n--b\n\ntwo\n--i\n\nnot a part\n--b--\n'
    assert [text for _, text in leaves(MIXED + inner)] == [b"one", b"two\n--i\n\nnot a part"]


@pytest.mark.parametrize("boundary", [b'"x\n y"', b"x y", b'"x y', b'"x y";', b' = "x y"'])
def test_a_boundary_may_be_written_in_many_ways(boundary: bytes) -> None:
    head = (
        b"Content-Type: multipart/mixed; boundary=" + boundary
        if b"= " not in boundary
        else b"Content-Type: multipart/mixed; boundary" + boundary
    )
    assert leaves(head + b"\n\n--x y\n\none\n--x y--\n") == [("text/plain", b"one")]


def test_a_delimiter_that_nobody_declared_is_found() -> None:
    content = b"Content-Type: multipart/mixed; boundary=other\n\n--used\nContent-Type: text/html\n\n<p>\n--used--\n"
    assert leaves(content) == [("text/html", b"<p>")]


def test_the_leaves_of_a_mail_within_the_mail_are_leaves() -> None:
    inner = b"Content-Type: message/rfc822\n\nSubject: x\nContent-Type: text/html\n\n<p>\n"
    assert leaves(inner) == [("text/html", b"<p>\n")]


def test_a_mail_within_the_mail_may_be_encoded_against_the_rules() -> None:
    content = b"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeAoKb25l\n"
    assert leaves(content) == [("text/plain", b"one")]


def test_the_parts_of_a_digest_are_mails() -> None:
    content = b"Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\none\n--b--\n"
    assert leaves(content) == [("text/plain", b"one")]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"From a@b.example Mon Nov  2 09:00:00 2026\nSubject: x\n\nbody", b"body"),  # a mailbox file's own line
        (b"\n\nSubject: x\n\nbody", b"body"),
        (b"no field at all\n\nbody", b"no field at all\n\nbody"),
        (b"Subject: x\r\rbody", b"body"),
        (b"Subject: x", b""),
        (b"", b""),
    ],
)
def test_where_the_body_begins(content: bytes, text: bytes) -> None:
    assert leaves(content) == [("text/plain", text)]


@pytest.mark.parametrize(
    ("encoding", "encoded", "content", "is_damaged"),
    [
        ("base64", b"b25l\n", b"one", False),
        ("base64", b"b2\r\n 5l", b"one", False),
        ("base64", b"b25lbQ==\nb25l\n", b"onemone", False),  # blocks encoded one by one
        ("base64", b"b25lbQ==\n-- \nA list's own words\n", b"onem", True),
        ("base64", b"b25lb", b"one", False),
        ("base64", b"b25l\r\nb2*l\r\nb25l\r\nb25l\r\n", b"oneooneone", True),  # one line is damaged
        ("base64", b"Bonjour, le banc est en panne.\n", b"Bonjour, le banc est en panne.\n", True),
        ("quoted-printable", b"=C3=A9 =ZZ=\nx", "é =ZZx".encode(), False),
        ("x-uuencode", b"begin 644 x\n#0V%T\n`\nend\n", b"Cat", False),
        ("8bit", "é".encode(), "é".encode(), False),
        ("unheard-of", b"x", b"x", False),
    ],
)
def test_encodings_are_undone_as_far_as_they_go(
    encoding: str, encoded: bytes, content: bytes, is_damaged: bool
) -> None:
    decoded = decode_transfer(encoded, encoding)
    assert (decoded.content, decoded.is_damaged) == (content, is_damaged)


def test_prose_that_says_begin_is_no_file() -> None:
    assert find_uuencoded_files(b"begin 644 work\non monday\nend\n", 9) == []


@pytest.mark.parametrize(
    ("value", "word", "name", "read"),
    [
        ('text/plain; charset="utf-8"', "text/plain", "charset", "utf-8"),
        ("TEXT/PLAIN ; Charset = UTF-8 (Unicode)", "text/plain", "charset", "UTF-8"),
        ("text/plain;; charset=utf-8;", "text/plain", "charset", "utf-8"),
        ('attachment; filename="a\\"b.txt"', "attachment", "filename", 'a"b.txt'),
        ('attachment; filename="C:\\dir\\a.txt"', "attachment", "filename", "C:\\dir\\a.txt"),
        ("attachment; filename*=utf-8''%C3%A9.txt", "attachment", "filename", "é.txt"),
        ("attachment; filename*0=a; filename*1=b", "attachment", "filename", "ab"),
        ("attachment; filename*0*=utf-8''%C3; filename*1*=%A9", "attachment", "filename", "é"),
        ('attachment; filename="unclosed.txt', "attachment", "filename", "unclosed.txt"),
        ("attachment; filename=a; filename=b", "attachment", "filename", "a"),
        ("", "", "x", ""),
    ],
)
def test_fields_and_their_parameters(value: str, word: str, name: str, read: str) -> None:
    field = parse_field(value)
    assert (field.word, field.get(name)) == (word, read)


def depth_of(part: MimePart) -> int:
    return 1 + max(map(depth_of, part.children), default=0)


def test_the_tree_is_bounded_in_depth_and_parts() -> None:
    nested = b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (n, n) for n in range(2000))
    deep = parse_part_tree(b"From: a@b.example\n" + nested)
    assert depth_of(deep.root) == MAX_DEPTH + 1
    assert deep.trouble == f"nested deeper than {MAX_DEPTH}"
    wide = parse_part_tree(MIXED + b"--b\n" * 1_000_000)
    assert len(wide.root.children) <= MAX_PARTS
    assert wide.trouble == f"over {MAX_PARTS} parts"


@given(st.text())
def test_no_field_is_too_strange(value: str) -> None:
    parse_field(value)


@given(st.binary(), st.sampled_from(["base64", "quoted-printable", "uuencode", ""]))
def test_no_encoding_is_too_strange(encoded: bytes, encoding: str) -> None:
    decode_transfer(encoded, encoding)
    find_uuencoded_files(encoded, 9)
