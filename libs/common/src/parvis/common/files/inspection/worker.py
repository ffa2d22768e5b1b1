"""Runs in the sandboxed process: recognises and screens one file a job."""

import json
from collections.abc import Iterator

from parvis.common.files.archive_screening import screen_archive
from parvis.common.files.media_types import media_type_of
from parvis.common.files.unreadable_pdf import screen_pdf
from parvis.common.runtime.sandbox.child import serve
from parvis.common.runtime.sandbox.pipe_protocol import Frame


def inspect_file(job: list[Frame]) -> Iterator[Frame]:
    (_, request), (_, content) = job
    declared, name = json.loads(request)
    media_type = media_type_of(content, declared=declared, name=name)
    yield b"M", media_type.encode()
    trouble = screen_archive(content, media_type) or screen_pdf(content, media_type)
    if trouble:
        yield b"T", trouble.encode()


def warm() -> None:
    media_type_of(b"")


if __name__ == "__main__":
    serve(inspect_file, warm=warm)
