"""What meets hostile scans: a scan in, its pictures and words out, in a process of its own (`parvis.common.worker`)."""

from collections.abc import Callable, Iterator, Sequence

from parvis.common.worker.inside import Work, serve
from parvis.ingest_postal.read import frames
from parvis.ingest_postal.read.engine import Engine
from parvis.ingest_postal.read.scan import READING_DPI, Scan, Unreadable, for_screen, open_scan
from parvis.ingest_postal.tables import Page

_SCREEN_DPI = 150
_FEWEST_CHARACTERS = 40  # a page number or a copier's stamp is not the letter
# What Pillow, PDFium and Tesseract raise at damaged files; anything else ends this process, and the workers say so.
_SURPRISES = (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, SyntaxError, TypeError, ValueError)
_Part = Callable[[Engine, Scan, int], bytes]
_DOUBTFUL = 0.6  # below it, the text that a copier laid under its picture is as good a guess as ours


def prepare() -> Work:
    engine = Engine()

    def work(job: Sequence[bytes]) -> Iterator[bytes]:
        asked, content = job
        return read(engine, frames.Job.model_validate_json(asked), content)

    return work


def read(engine: Engine, job: frames.Job, content: bytes) -> Iterator[bytes]:
    """Everything that can be told of a scan, as answers: the number of pages, their pictures, their words, and how it ended."""
    troubles: list[str] = []
    try:
        scan = open_scan(content, job.media_type, pixels=job.pixels)
        yield frames.COUNT + frames.NUMBER.pack(scan.page_count)
        pages = range(min(scan.page_count, job.pages))
        # All pictures before any word: should reading fail, people have the pictures.
        for answer in (_tried(part, engine, scan, index, troubles) for part in (_picture, _words) for index in pages):
            yield from answer
    except (*_SURPRISES, MemoryError, Unreadable) as error:
        troubles.append(_say(error))
    yield frames.TROUBLE + troubles[0].encode() if troubles else frames.DONE


def _tried(part: _Part, engine: Engine, scan: Scan, index: int, troubles: list[str]) -> list[bytes]:
    """One page's answer; a page that fails costs itself only."""
    try:
        return [part(engine, scan, index)]
    except (*_SURPRISES, MemoryError, Unreadable) as error:
        troubles.append(_say(error))
        return []


def _picture(_: Engine, scan: Scan, index: int) -> bytes:
    jpeg = for_screen(scan.picture(index, dpi=_SCREEN_DPI))
    return frames.PICTURE + frames.NUMBER.pack(index + 1) + jpeg


def _words(engine: Engine, scan: Scan, index: int) -> bytes:
    return frames.PAGE + read_page(engine, scan, index).model_dump_json().encode()


def _say(error: BaseException) -> str:
    """What an agent reads; a library's own sentence may quote the letter and stays here."""
    if isinstance(error, Unreadable):
        return str(error)
    if isinstance(error, MemoryError):
        return "reading needs more memory than allowed"
    return f"damaged file ({type(error).__name__})"


def read_page(engine: Engine, scan: Scan, index: int) -> Page:
    """The file's own text where a program wrote the page; ours where paper was laid on the glass, or words are drawn."""
    own = scan.text_layer(index)
    if own and sum(len(line.text) for line in own) >= _FEWEST_CHARACTERS and not scan.is_photographed(index):
        return Page(number=index + 1, lines=own, confidence=1.0, source="layer")
    page = engine.read(scan.picture(index, dpi=READING_DPI), index + 1)
    if own and page.confidence < _DOUBTFUL:
        return page.model_copy(update={"lines": own, "source": "layer"})
    return page


if __name__ == "__main__":
    serve(prepare)
