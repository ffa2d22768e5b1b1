"""Facts about forms: their text has one bound, however it is encoded, and a form over it is refused before it is taken apart."""

import asyncio
from collections.abc import Sequence
from unittest.mock import patch

import pytest
from python_multipart.multipart import MultipartParser, QuerystringParser
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message

from parvis.web import form_parsing
from parvis.web.form_parsing import SubmittedForm, read_form

MEGABYTE = 1_000_000
URLENCODED = "application/x-www-form-urlencoded"


class Sent:
    """A request whose parts are counted as they are read."""

    def __init__(self, parts: Sequence[bytes], media_type: str = URLENCODED, length: int | None = None) -> None:
        self._parts, self.read_bytes = list(parts), 0
        headers = [(b"content-type", media_type.encode())]
        headers += [(b"content-length", str(length).encode())] if length is not None else []
        self.request = Request({"type": "http", "method": "POST", "headers": headers}, self._receive)

    async def _receive(self) -> Message:
        body = self._parts.pop(0) if self._parts else b""
        self.read_bytes += len(body)
        return {"type": "http.request", "body": body, "more_body": bool(self._parts)}


async def refusal(sent: Sent, *, most_files: int = 20) -> int:
    with pytest.raises(HTTPException) as refused:
        await read_form(sent.request, largest_bytes=60 * MEGABYTE, largest_file_bytes=MEGABYTE, most_files=most_files)
    return refused.value.status_code


async def test_a_declared_urlencoded_body_over_the_bound_is_refused_unread():
    sent = Sent([b"a=" + b"x" * MEGABYTE], length=59 * MEGABYTE)

    assert await refusal(sent) == 413
    assert sent.read_bytes == 0


@pytest.mark.parametrize("field", [b"&a=" + b"x" * MEGABYTE, b"&a=" + b"%41" * (MEGABYTE // 3), b"&" + b"x" * MEGABYTE])
async def test_urlencoded_text_over_two_megabytes_is_refused_at_the_bound(field: bytes):
    sent = Sent([field] * 40)

    assert await refusal(sent) == 413
    assert sent.read_bytes <= 8 * MEGABYTE


async def test_text_within_the_bound_is_read_in_both_encodings():
    text = "é" * 100_000
    for sent in (
        Sent([b"a=" + b"%C3%A9" * 100_000]),
        Sent(
            [b'--x\r\ncontent-disposition: form-data; name="a"\r\n\r\n' + text.encode() + b"\r\n--x--\r\n"],
            "multipart/form-data; boundary=x",
        ),
    ):
        form = await read_form(sent.request, largest_bytes=60 * MEGABYTE)
        assert form.first("a") == text


async def test_too_many_fields_are_no_form():
    assert await refusal(Sent([b"a=1&" * 1000])) == 400


@pytest.mark.parametrize(
    ("head", "block", "media_type"),
    [
        (b"a=1", b"&", URLENCODED),
        (b'--x\r\ncontent-disposition: form-data; name="a"\r\n\r\n', b"\r\n--xy", "multipart/form-data; boundary=x"),
        (b"", b'--x\r\ncontent-disposition: form-data; name="a"\r\n\r\n\r\n', "multipart/form-data; boundary=x"),
    ],
    ids=["empty fields", "boundaries that are none", "empty parts"],
)
async def test_what_separates_nothing_is_counted_before_it_is_parsed(head: bytes, block: bytes, media_type: str):
    parsed: list[bytes] = []
    sent = Sent([head, *[block * 1002] * 20], media_type)

    with patch.object(QuerystringParser, "write", parsed.append), patch.object(MultipartParser, "write", parsed.append):
        assert await refusal(sent) == 400

    assert sum(map(len, parsed)) <= len(head)


async def test_a_long_form_is_parsed_in_turn_with_what_else_the_loop_does():
    turns, done = 0, False

    async def take_turns() -> None:
        nonlocal turns
        while not done:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(take_turns())
    form = await read_form(Sent([b"a=" + b"%41" * 600_000]).request, largest_bytes=60 * MEGABYTE)
    done = True
    await other

    assert form.first("a") == "A" * 600_000
    assert turns > 110  # one for each of its pieces, and more while it is decoded


def a_form_with_a_file(size_bytes: int) -> Sent:
    head = b'--x\r\ncontent-disposition: form-data; name="a"\r\n\r\ntyped\r\n--x\r\ncontent-disposition: form-data; '
    parts = [
        b'name="f"; filename="a.pdf"\r\ncontent-type: application/pdf\r\n\r\n',
        b"x" * size_bytes,
        b"\r\n--x--\r\n",
    ]
    return Sent([head, *parts], "multipart/form-data; boundary=x")


async def read(sent: Sent) -> SubmittedForm:
    return await read_form(sent.request, largest_bytes=MEGABYTE, largest_file_bytes=MEGABYTE, most_files=20)


async def test_files_of_all_forms_in_progress_share_one_room_and_the_text_is_kept(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(form_parsing, "_MAX_SPOOLED_BYTES", 300_000)
    first, second = await read(a_form_with_a_file(200_000)), await read(a_form_with_a_file(200_000))

    assert (first.has_no_room, second.has_no_room) == (False, True)
    assert second.first("a") == "typed"
    assert not second.files["f"][0].is_whole
    await first.close()
    await second.close()
    third = await read(a_form_with_a_file(200_000))
    assert not third.has_no_room
    await third.close()


@pytest.mark.parametrize("act", ["write", "seek"])
async def test_a_full_disk_ends_the_files_and_not_the_text(monkeypatch: pytest.MonkeyPatch, act: str):
    async def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(UploadFile, act, fail)
    form = await read(a_form_with_a_file(200_000))

    assert (form.has_no_room, form.first("a")) == (True, "typed")
    await form.close()


async def test_a_refused_form_gives_its_room_back():
    before = form_parsing._spool.bytes  # pyright: ignore[reportPrivateUsage]
    head = b'--x\r\ncontent-disposition: form-data; name="f"; filename="a"\r\n\r\n'
    text = b'\r\n--x\r\ncontent-disposition: form-data; name="a"\r\n\r\n'

    assert await refusal(Sent([head, b"x" * 9999, text, b"x" * 3 * MEGABYTE], "multipart/form-data; boundary=x")) in {
        400,
        413,
    }
    assert form_parsing._spool.bytes == before  # pyright: ignore[reportPrivateUsage]
