"""Facts about media types by content, and about safe file names."""

import io
import os
import unicodedata
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parvis.common.files.file_names import safe_file_name
from parvis.common.files.media_types import PICTURES, media_type_of


def a_zip(*names: str, first: bytes = b"") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        if first:
            archive.writestr("mimetype", first)
        for name in names:
            archive.writestr(name, b"content" * 100)
    return out.getvalue()


OFFICE = "application/vnd.openxmlformats-officedocument."
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"%PDF-1.7\n", "application/pdf"),
        (b"\r\n\r\nscanner says hello %PDF-1.4\n", "application/pdf"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "image/jpeg"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00", "image/heic"),
        (b"\x00\x00\x00\x18ftyp3gp4\x00\x00", "video/3gpp"),
        (b"\x00\x00\x00\x18ftypisom\x00\x00", "video/mp4"),
        (b"RIFF\x10\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"RIFF\x10\x00\x00\x00????", "application/octet-stream"),
        (b"#!AMR\n\x0c", "audio/amr"),
        (b"BM6\x00\x00\x00\x00\x00", "image/bmp"),
        (b"BM est une marque de voiture", "text/plain"),
        (b"MZ\x90\x00\x03", "application/vnd.microsoft.portable-executable"),
        (a_zip("word/document.xml"), f"{OFFICE}wordprocessingml.document"),
        (a_zip("[Content_Types].xml", *map(str, range(900)), "xl/workbook.xml"), f"{OFFICE}spreadsheetml.sheet"),
        (a_zip("content.xml", first=b"application/vnd.oasis.opendocument.text"), "application/vnd.oasis.opendocument.text"),
        (a_zip("a.jpg", first=b"image/jpeg"), "application/zip"),
        (a_zip("photo.jpg"), "application/zip"),
        (a_zip(), "application/zip"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "WordDocument".encode("utf-16-le"), "application/msword"),
        (SVG, "image/svg+xml"),
        (b"\xef\xbb\xbf <?xml version='1.0'?>\n<!-- a --> <!DOCTYPE svg PUBLIC 'x'>\n" + SVG, "image/svg+xml"),
        (b"<!DOCTYPE svg [<!ENTITY a 'b'>]>" + SVG, "image/svg+xml"),
        ("\ufeff<svg>".encode("utf-16-le"), "image/svg+xml"),
        (b"<s:SVG xmlns:s='x'/>", "image/svg+xml"),
        (b"  <!doctype HTML><p>", "text/html"),
        (b"<script>alert(1)</script>", "text/html"),
        (b"<!-- <svg --><b>x</b>", "text/html"),
        (b"<?xml version='1.0'?><html xmlns='x'>", "text/html"),
        (b"<?xml version='1.0'?><invoice/>", "text/xml"),
        (b"BEGIN:VCALENDAR\r\nVERSION:2.0", "text/calendar"),
        ("Bonjour, où en est ma demande ?".encode("latin-1"), "text/plain"),
        (b"<3 la mairie", "text/plain"),
        (b"", "application/octet-stream"),
        (b"\x00\x01\x02\x03", "application/octet-stream"),
    ],
)  # fmt: skip
def test_the_content_says_what_a_file_is(content: bytes, media_type: str) -> None:
    assert media_type_of(content, declared="image/jpeg", name="photo.jpg") == media_type
    assert media_type_of(content) == media_type


def test_no_page_and_no_program_is_ever_a_picture() -> None:
    assert not {media_type_of(SVG, declared="image/png"), media_type_of(b"<html>", declared="image/png")} & PICTURES


@pytest.mark.parametrize(
    ("declared", "name", "media_type"),
    [
        ("text/csv; charset=utf-8", "", "text/csv"),
        ("text/plain", "liste.CSV", "text/csv"),
        ("application/octet-stream", "courriel.eml", "message/rfc822"),
        ("image/png", "a.png", "text/plain"),
        ("text/html", "a.html", "text/plain"),
        ("application/x-sh", "run.sh", "text/plain"),
    ],
)
def test_among_texts_the_sender_is_believed(declared: str, name: str, media_type: str) -> None:
    assert media_type_of(b"a;b;c\n1;2;3\n", declared=declared, name=name) == media_type


def test_a_signature_is_believed_where_the_bytes_fit() -> None:
    assert media_type_of(b"\x30\x82\x01\x02", declared="application/pkcs7-signature") == "application/pkcs7-signature"
    assert media_type_of(b"\x00\x82\x01\x02", declared="application/pkcs7-signature") == "application/octet-stream"


@given(st.binary(max_size=300), st.text(max_size=20), st.text(max_size=20))
def test_every_content_has_a_type(content: bytes, declared: str, name: str) -> None:
    assert "/" in media_type_of(content, declared=declared, name=name)


def test_markup_that_never_ends_is_judged_at_once() -> None:
    assert media_type_of(b"<!-- x -->" * 1_000_000) == "text/html"
    assert media_type_of(b"<!DOCTYPE x " + os.urandom(10).hex().encode() * 1_000_000) == "text/xml"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("facture.pdf", "facture.pdf"),
        ("C:\\Documents\\Camille\\facture.pdf", "facture.pdf"),
        ("../../etc/passwd", "passwd"),
        ("/", ""),
        ("..", ""),
        ("dossier/", "dossier"),
        ("facture\u202efdp.exe", "facturefdp.exe"),
        ("a\u2066b\u200b\u0000\ud800.txt", "ab.txt"),
        ("ligne\r\nX-Header: oui.pdf", "ligne X-Header- oui.pdf"),
        ('a:b*c?"d<e>f|.pdf', "a-b-c--d-e-f-.pdf"),
        ("  été.pdf. ", "été.pdf"),
        ("e\u0301te\u0301.pdf", "été.pdf"),
        ("x" * 300 + ".pdf", "x" * 116 + ".pdf"),
        ("x" * 300, "x" * 120),
        ("", ""),
    ],
)
def test_a_name_is_made_clean(text: str, name: str) -> None:
    assert safe_file_name(text) == name


@given(st.text(st.characters(codec=None), max_size=400))
def test_a_clean_name_can_be_stored_shown_and_cleaned_again(text: str) -> None:
    name = safe_file_name(text)
    assert safe_file_name(name) == name
    assert len(name) <= 120
    name.encode()
    assert not any(unicodedata.category(sign).startswith("C") for sign in name)
    assert not set(name) & set('/\\:*?"<>|')
