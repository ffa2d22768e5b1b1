"""Groups the lines of a page into text blocks by column and spacing. Pure; no I/O."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from parvis.ingest_postal.models.page import ScannedPage, Word

_COLUMN_GAP = 0.05  # of the page's width: words further apart belong to two columns that OCR read as one line
_SAME_MARGIN = 0.035
_EMPTY_LINE = 1.25  # of a line's height: a larger gap ends a block


@dataclass(frozen=True)
class LineSegment:
    """The words of one line in one column."""

    words: tuple[Word, ...]

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)

    @property
    def left(self) -> float:
        return min(word.left for word in self.words)

    @property
    def right(self) -> float:
        return max(word.right for word in self.words)

    @property
    def top(self) -> float:
        return min(word.top for word in self.words)

    @property
    def bottom(self) -> float:
        return max(word.bottom for word in self.words)

    @property
    def centre(self) -> float:
        return (self.left + self.right) / 2

    @property
    def height(self) -> float:
        return self.bottom - self.top


@dataclass(frozen=True)
class TextBlock:
    """Line segments below each other with a common margin or centre, without an empty line between them."""

    segments: tuple[LineSegment, ...]

    @property
    def left(self) -> float:
        return min(piece.left for piece in self.segments)

    @property
    def right(self) -> float:
        return max(piece.right for piece in self.segments)

    @property
    def top(self) -> float:
        return self.segments[0].top


def find_text_blocks(page: ScannedPage) -> list[TextBlock]:
    """Find the text blocks of a page, from the top. Segments of another column do not divide a block."""
    open_blocks: list[list[LineSegment]] = []
    done: list[list[LineSegment]] = []
    for piece in sorted(
        (piece for line in page.lines for piece in _split_into_segments(line.words)), key=lambda piece: piece.top
    ):
        above = next((block for block in open_blocks if _follows(piece, block[-1])), None)
        if above is None:
            open_blocks.append([piece])
        else:
            above.append(piece)
        ended = [block for block in open_blocks if piece.top - block[-1].bottom > 0.1]
        done += ended
        open_blocks = [block for block in open_blocks if block not in ended]
    return sorted((TextBlock(tuple(block)) for block in (*done, *open_blocks)), key=lambda block: block.top)


def _split_into_segments(words: Sequence[Word]) -> Iterator[LineSegment]:
    piece: list[Word] = []
    for word in sorted(words, key=lambda word: word.left):
        if piece and word.left - piece[-1].right > _COLUMN_GAP:
            yield LineSegment(tuple(piece))
            piece = []
        piece.append(word)
    if piece:
        yield LineSegment(tuple(piece))


def _follows(piece: LineSegment, above: LineSegment) -> bool:
    height = max(piece.height, above.height)
    lies_under = abs(piece.left - above.left) < _SAME_MARGIN or abs(piece.centre - above.centre) < _SAME_MARGIN / 2
    return lies_under and -0.5 * height < piece.top - above.bottom < _EMPTY_LINE * height
