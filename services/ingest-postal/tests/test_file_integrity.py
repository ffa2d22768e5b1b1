"""Facts about the detection and the completeness of scans."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parvis.ingest_postal.sandbox.scan_file import open_scan
from parvis.ingest_postal.verify.file_integrity import check_file_integrity
from parvis.local.letter import BIRTH_CERTIFICATE, ScanFormat, make_scan, write_pdf

LIMIT = 50 * 1024 * 1024
MEDIA_TYPES: dict[ScanFormat, str] = {
    "pdf": "application/pdf",
    "tiff": "image/tiff",
    "png": "image/png",
    "jpeg": "image/jpeg",
}
SCANS = {kind: make_scan(BIRTH_CERTIFICATE, dpi=60, scan_format=kind) for kind in MEDIA_TYPES}
SCANS_OF_TWO = {kind: make_scan(BIRTH_CERTIFICATE, dpi=60, scan_format=kind, pages=2) for kind in ("pdf", "tiff")}


@pytest.mark.parametrize("kind", MEDIA_TYPES)
def test_a_whole_scan_is_known_by_its_content(kind: ScanFormat):
    verdict = check_file_integrity(SCANS[kind], size_limit_bytes=LIMIT)

    assert (verdict.media_type, verdict.fault) == (MEDIA_TYPES[kind], None)


@given(kind=st.sampled_from(list(MEDIA_TYPES)), share=st.floats(0, 0.999))
def test_a_scan_cut_anywhere_is_not_whole(kind: ScanFormat, share: float):
    content = SCANS[kind]

    assert check_file_integrity(content[: int(len(content) * share)], size_limit_bytes=LIMIT).fault


@given(kind=st.sampled_from(["pdf", "tiff"]), share=st.floats(0, 0.999))
def test_a_scan_of_two_pages_cut_anywhere_is_not_whole(kind: str, share: float):
    content = SCANS_OF_TWO[kind]

    assert check_file_integrity(content[: int(len(content) * share)], size_limit_bytes=LIMIT).fault


@given(st.sampled_from([b"", b"%PDF-1.7\n", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*", b"II+\0"]), st.binary(max_size=300))  # fmt: skip
def test_no_bytes_make_the_verdict_raise(beginning: bytes, rest: bytes):
    check_file_integrity(beginning + rest, size_limit_bytes=LIMIT)


@given(kind=st.sampled_from(list(MEDIA_TYPES)), offset=st.integers(0, 2000), value=st.integers(0, 255))
def test_no_wrong_byte_makes_the_verdict_raise(kind: ScanFormat, offset: int, value: int):
    content = bytearray(SCANS[kind])
    content[offset % len(content)] = value

    check_file_integrity(bytes(content), size_limit_bytes=LIMIT)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "the file is empty"),
        (b"Bonjour, ceci n'est pas un PDF.\n", "the file is neither PDF, TIFF, PNG nor JPEG"),
        (b"%PDF-1.7\n" + b"x" * 2000, "the end of the PDF is missing"),
        (b"MM\0*\0\0\0\0", "the TIFF has no page yet"),
    ],
)
def test_an_incomplete_scan_has_a_fault(content: bytes, fault: str):
    assert check_file_integrity(content, size_limit_bytes=LIMIT).fault == fault


def test_a_scan_over_the_limit_is_not_accepted():
    assert check_file_integrity(SCANS["pdf"], size_limit_bytes=1024).fault == "the file is larger than 0 MiB"


def test_a_pdf_padded_to_whole_blocks_is_whole():
    assert check_file_integrity(write_pdf(BIRTH_CERTIFICATE) + b"\0" * 700, size_limit_bytes=LIMIT).fault is None


def test_a_jpeg_with_a_trailer_is_whole():
    assert check_file_integrity(SCANS["jpeg"] + b"maker's notes", size_limit_bytes=LIMIT).fault is None


def test_a_linearised_pdf_that_is_shorter_than_it_says_is_not_whole():
    content = b"%PDF-1.5\n1 0 obj\n<</Linearized 1/L 90000/O 5>>\nendobj\nstartxref\n0\n%%EOF\n"

    assert check_file_integrity(content, size_limit_bytes=LIMIT).fault == "the PDF is shorter than it says"


@pytest.mark.parametrize("length", [80_508, 3_000_000])
def test_a_pdf_padded_by_any_length_is_whole(length: int):
    assert check_file_integrity(SCANS["pdf"] + bytes(length), size_limit_bytes=LIMIT).fault is None


@pytest.mark.parametrize(
    "behind", [b"<script>portail</script>\n" * 500, b"\xff" * 5000, b"\n-----BEGIN PKCS7-----\n" + b"QUJD" * 900]
)
def test_what_others_append_to_a_pdf_takes_nothing_from_it(behind: bytes):
    assert check_file_integrity(SCANS["pdf"] + behind, size_limit_bytes=LIMIT).fault is None


def test_an_update_of_a_pdf_that_is_not_whole_is_waited_for():
    update = b"\n12 0 obj\n<</Length 5000>>\nstream\n" + b"q 1 0 0 1 0 0 cm\n" * 200

    assert check_file_integrity(SCANS["pdf"] + update, size_limit_bytes=LIMIT).fault == "the end of the PDF is missing"


@pytest.mark.parametrize("pointer", [0xFFFFFFF1, 0x7E7E7E7E, 9])
def test_a_tiff_whose_last_page_points_nowhere_is_whole(pointer: int):
    content = bytearray(SCANS["tiff"])
    order = "<" if content.startswith(b"II") else ">"
    directory: int = struct.unpack_from(order + "I", content, 4)[0]
    entries: int = struct.unpack_from(order + "H", content, directory)[0]
    struct.pack_into(order + "I", content, directory + 2 + 12 * entries, pointer)

    assert check_file_integrity(bytes(content), size_limit_bytes=LIMIT).fault is None
    assert open_scan(bytes(content), "image/tiff", pixels=10**8).page_count == 1
