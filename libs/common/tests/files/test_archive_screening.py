"""Archives that would hurt whoever opens them are named, quickly and without much memory; good ones are not."""

import gzip
import io
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parvis.common.contract.errors import Unavailable
from parvis.common.files.archive_screening import screen_archive
from parvis.common.files.inspection import FileInspection, FileInspector
from parvis.common.files.media_types import media_type_of

ZIP = "application/zip"
RATIO = "archive that unpacks to more than 100 times its size"
TOO_MUCH = "archive of more than 200 MB unpacked"
ELSEWHERE = "archive with a file name that leads elsewhere"


def a_zip(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def nested(times: int) -> bytes:
    content = b"Bonjour"
    for number in range(times):
        content = a_zip({f"{number}.zip": content})
    return content


def raw_zip(kernels: list[tuple[bytes, bytes, int]], listed: list[tuple[bytes, int]], comment: bytes = b"") -> bytes:
    """A zip written by hand: kernels (name, deflated bytes, size), and a list that may name one of them several times."""
    body, places = b"", list[int]()
    for name, packed, size in kernels:
        places.append(len(body))
        body += (
            struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 20, 0, 8, 0, 0, 0, len(packed), size, len(name), 0) + name + packed
        )
    entries = b""
    for name, index in listed:
        _, packed, size = kernels[index]
        entries += struct.pack(
            "<4sHHHHHHIIIHHHHHII", b"PK\1\2", 20, 20, 0, 8, 0, 0, 0, len(packed), size, len(name), 0, 0, 0, 0, 0, places[index]
        ) + name  # fmt: skip
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, len(entries), len(body), len(comment))
    return body + entries + end + comment


def deflated(content: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(content) + packer.flush()


def overlapping() -> bytes:
    """One kernel that a thousand entries share: 10 MB each."""
    kernel = (b"a", deflated(bytes(900_000)), 900_000)
    return raw_zip([kernel], [(b"a", 0)] * 200)


def quoted() -> bytes:
    """Entries that begin inside each other, as Fifield's bomb has them."""
    inner = deflated(b"x" * 1000)
    body = struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 20, 0, 8, 0, 0, 0, len(inner), 1000, 1, 0) + b"b" + inner
    first = struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 20, 0, 0, 0, 0, 0, len(body), len(body), 1, 0) + b"a"
    entries = b"".join(
        struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\1\2", 20, 20, 0, method, 0, 0, 0, packed, size, 1, 0, 0, 0, 0, 0, place) + name
        for name, method, packed, size, place in ((b"a", 0, len(body), len(body), 0), (b"b", 8, len(inner), 1000, len(first)))
    )  # fmt: skip
    whole = first + body
    return whole + entries + struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 2, 2, len(entries), len(whole), 0)


def a_million() -> bytes:
    out = raw_zip([(b"", b"\3\0", 0)], [])
    start, end = out[:-22], out[-22:]
    entry = struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\1\2", 20, 20, 0, 8, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0)
    size = len(entry) * 1_000_000
    return start + entry * 1_000_000 + end[:12] + struct.pack("<IIH", size, len(start), 0)


def lying() -> bytes:
    return raw_zip([(b"a", deflated(bytes(300_000_000)), 10)], [(b"a", 0)])


def locked() -> bytes:
    content = bytearray(a_zip({"a": b"b"}))
    content[content.rfind(b"PK\1\2") + 8] |= 1
    return bytes(content)


def linked() -> bytes:
    entry = zipfile.ZipInfo("a")
    entry.create_system, entry.external_attr = 3, 0o120777 << 16
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(entry, "/etc/passwd")
    return out.getvalue()


BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "ratio": (lambda: a_zip({"a": bytes(20_000_000)}), RATIO),
    "large": (lambda: a_zip({str(n): b"ab" * 900_000 for n in range(150)}), RATIO),
    "unpacked": (lambda: a_zip({str(n): bytes(900_000) for n in range(300)}), TOO_MUCH),
    "overlapping": (overlapping, "archive whose files overlap"),
    "quoted": (quoted, "archive whose files overlap"),
    "nested": (lambda: nested(4), "archives inside archives inside archives"),
    "deep": (lambda: nested(200), "archives inside archives inside archives"),
    "inner-bomb": (lambda: a_zip({"a.zip": a_zip({"a": bytes(20_000_000)})}), RATIO),
    "million": (a_million, "archive of more than 1000 files"),
    "files-in-all": (lambda: a_zip({f"{n}.zip": a_zip({str(m): b"" for m in range(100)}) for n in range(20)}), "archive of more than 1000 files"),
    "lying": (lying, RATIO),
    "locked": (locked, "encrypted archive"),
    "slip": (lambda: a_zip({"../../etc/passwd": b"x"}), ELSEWHERE),
    "slip-windows": (lambda: a_zip({"..\\..\\evil.exe": b"x"}), ELSEWHERE),
    "absolute": (lambda: a_zip({"/etc/passwd": b"x"}), ELSEWHERE),
    "drive": (lambda: a_zip({"C:\\evil.exe": b"x"}), ELSEWHERE),
    "link": (linked, ELSEWHERE),
    "bzip2": (lambda: a_zip({"a": b"x"}, zipfile.ZIP_BZIP2), "archive packed in a way that is not looked into"),
    "half": (lambda: a_zip({"a": b"Bonjour" * 100})[:90], "damaged archive"),
    "renamed": (lambda: a_zip({"facture.pdf": b"x"}).replace(b"facture.pdf", b"facture.exe", 1), "damaged archive"),
    "gzip": (lambda: gzip.compress(bytes(30_000_000)), RATIO),
    "gzip-in-zip": (lambda: a_zip({"a.gz": gzip.compress(bytes(30_000_000))}), RATIO),
    "7z": (lambda: b"7z\xbc\xaf\x27\x1c" + bytes(100), "archive of a kind that is not looked into"),
    "rar": (lambda: b"Rar!\x1a\x07\x01\x00", "archive of a kind that is not looked into"),
}  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS)
async def test_a_bomb_is_named(bomb: str) -> None:
    make, trouble = BOMBS[bomb]
    content = make()
    tracemalloc.start()
    found = screen_archive(content, media_type_of(content))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == trouble
    assert peak < 50_000_000


def zip64() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive, archive.open("a.txt", "w", force_zip64=True) as file:
        file.write(b"Bonjour")
    return out.getvalue()


GOOD = {
    "zip": lambda: a_zip({"photo.jpg": b"\xff\xd8\xff" + bytes(1000), "dossier/note.txt": b"Bonjour"}),
    "empty": lambda: a_zip({}),
    "zip-in-zip": lambda: nested(2),
    "document-in-zip": lambda: a_zip({"lettre.docx": a_zip({"word/document.xml": b"<w/>", "word/embeddings/a.xlsx": a_zip({"xl/workbook.xml": b"<w/>"})})}),
    "small-and-uniform": lambda: a_zip({"a": bytes(900_000)}),
    "hundred-times": lambda: a_zip({"a": b"".join(b"%d;" % n for n in range(2_000_000))}),
    "gzip": lambda: gzip.compress(b"Bonjour" * 1000),
    "with-prefix": lambda: b"#!/bin/sh\n" + a_zip({"a": b"Bonjour"}),
    "commented": lambda: raw_zip([(b"a", deflated(b"x"), 1)], [(b"a", 0)], comment=b"Bonjour"),
    "zip64": zip64,
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_a_good_archive_has_no_trouble(name: str) -> None:
    assert screen_archive(GOOD[name](), ZIP if name != "gzip" else "application/gzip") is None


LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha">'
    + b"".join(b'<!ENTITY %c "%s">' % (n, b"&%c;" % (n - 1) * 10) for n in range(98, 110))
    + b"]><l>&m;</l>"
)


@pytest.mark.parametrize("xml", [LAUGHS, LAUGHS.replace(b"<l>", b"<svg>").replace(b"</l>", b"</svg>")])
def test_entities_are_never_expanded(xml: bytes) -> None:
    """Ten to the twelfth laughs would be: nothing here parses XML."""
    tracemalloc.start()
    assert media_type_of(xml) in {"text/xml", "image/svg+xml"}
    document = a_zip({"word/document.xml": xml})
    assert screen_archive(document, media_type_of(document)) is None
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_what_is_no_archive_has_no_trouble() -> None:
    assert screen_archive(b"%PDF-1.7", "application/pdf") is None


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damage_is_never_a_surprise(data: st.DataObject) -> None:
    content = bytearray(a_zip({"a": b"Bonjour" * 50, "b.zip": a_zip({"c": b"d"})}))
    for _ in range(data.draw(st.integers(0, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    found = screen_archive(bytes(content[cut:]), ZIP)
    assert found is None or len(found) < 100


async def test_the_inspector_looks_in_a_process_of_its_own() -> None:
    inspector = FileInspector()
    async with inspector.running():
        assert await inspector.inspect(b"%PDF-1.7", declared="image/png") == FileInspection("application/pdf")
        assert await inspector.inspect(lying(), name="photos.zip") == FileInspection(ZIP, RATIO)
        assert await inspector.inspect(b"a;b", name="\ud800.csv") == FileInspection("text/csv")
    with pytest.raises(Unavailable):
        await inspector.inspect(b"")
