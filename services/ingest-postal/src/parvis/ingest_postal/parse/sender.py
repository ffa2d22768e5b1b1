"""The words on a letter's first page in, its sender's postal address out. Pure; no I/O."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from parvis.common.contact import post
from parvis.common.errors import Rejected
from parvis.ingest_postal.tables import Line, Page, Reading, Word

# French letters have the sender at the top left and the addressee at the right, lower (AFNOR NF Z 11-001).
_TOP, _LEFT = 0.45, 0.42
_COLUMN_GAP = 0.05  # of the page's width: words further apart stand in two columns that the reading took for one line
_SAME_MARGIN = 0.04
_DIGITS_CONFIDENCE = 0.7  # a wrong digit is another house

_TOWN = re.compile(r"^(?P<street>.{0,80}?)[ ,;–-]*\b(?:F-)?(?P<code>\d{5})[ ,]+(?P<town>[^\W\d][^\d]{1,40}(?:cedex ?\d{0,2})?)$", re.IGNORECASE)  # fmt: skip
_STREET = re.compile(
    r"\d|\b(?:rue|avenue|av|boulevard|bd|place|pl|chemin|ch|impasse|allée|route|rte|quai|cours|square|lieu[- ]dit|résidence|hameau|villa|bp)\b",
    re.IGNORECASE,
)
_ADDRESSEE = re.compile(
    r"\b(?:mairie|maire|hôtel de ville|commune|préfecture|destinataire|à l['’ ]attention|centre communal)\b",
    re.IGNORECASE,
)
_NO_ADDRESS_LINE = re.compile(
    r"@|^\s*(?:t[ée]l|mobile|port|e-?mail|courriel|mail|objet|date|r[ée]f|n°|dossier|madame|monsieur)\s*[.:,]",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Sender:
    """Who wrote, as the paper says: name, street, postcode and town. Confidence from 0 to 1, of reading and of layout together."""

    lines: tuple[str, ...]
    confidence: float

    @property
    def name(self) -> str:
        return self.lines[0]

    @property
    def address(self) -> str:
        return "\n".join(self.lines)


@dataclass(frozen=True)
class _Piece:
    """Words of one line in one column."""

    words: tuple[Word, ...]

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)

    @property
    def left(self) -> float:
        return self.words[0].left

    @property
    def top(self) -> float:
        return min(word.top for word in self.words)

    @property
    def bottom(self) -> float:
        return max(word.bottom for word in self.words)


def find_sender(reading: Reading) -> Sender | None:
    """The address block at the top left of the first page; none where there is none, or two that could be it."""
    if not reading.pages:
        return None
    found = [sender for block in _blocks(reading.pages[0]) if (sender := _sender(block))]
    return found[0] if len(found) == 1 else None


def _blocks(page: Page) -> Iterator[list[_Piece]]:
    """Pieces that stand under each other at one margin without an empty line between."""
    pieces = [piece for line in page.lines for piece in _pieces(line) if piece.top < _TOP and piece.left < _LEFT]
    block: list[_Piece] = []
    for piece in sorted(pieces, key=lambda piece: piece.top):
        if block and not _follows(piece, block[-1]):
            yield block
            block = []
        block.append(piece)
    if block:
        yield block


def _pieces(line: Line) -> Iterator[_Piece]:
    words: list[Word] = []
    for word in sorted(line.words, key=lambda word: word.left):
        if words and word.left - words[-1].right > _COLUMN_GAP:
            yield _Piece(tuple(words))
            words = []
        words.append(word)
    if words:
        yield _Piece(tuple(words))


def _follows(piece: _Piece, above: _Piece) -> bool:
    height = max(piece.bottom - piece.top, above.bottom - above.top)
    return abs(piece.left - above.left) < _SAME_MARGIN and piece.top - above.bottom < 1.2 * height


def _sender(block: list[_Piece]) -> Sender | None:
    last = next((place for place, piece in enumerate(block) if _TOWN.match(piece.text)), None)
    if last is None or any(_ADDRESSEE.search(piece.text) for piece in block[: last + 1]):
        return None
    pieces = [piece for piece in block[: last + 1] if not _NO_ADDRESS_LINE.search(piece.text)]
    lines = tuple(_lines(pieces))
    try:
        lines = tuple(post("\n".join(lines)).value.splitlines())
    except Rejected:
        return None
    return Sender(lines, _confidence(lines, [word for piece in pieces for word in piece.words]))


def _lines(pieces: list[_Piece]) -> Iterator[str]:
    """The lines of the address; « 12 rue du Lac, 00100 Val-Exemple » is two."""
    for piece in pieces:
        town = _TOWN.match(piece.text)
        if not town:
            yield piece.text.strip(" ,;")
            continue
        if town["street"].strip(" ,;"):
            yield town["street"].strip(" ,;")
        yield f"{town['code']} {town['town'].strip(' ,;')}"


def _confidence(lines: tuple[str, ...], words: list[Word]) -> float:
    """How well it was read, halved for each part of an address that is missing or doubtful."""
    letters = sum(len(word.text) for word in words)
    confidence = sum(word.confidence * len(word.text) for word in words) / max(letters, 1)
    doubts = (
        not _is_name(lines[0]),
        not any(_STREET.search(line) for line in lines[1:-1]),
        any(word.confidence < _DIGITS_CONFIDENCE for word in words if any(c.isdigit() for c in word.text)),
    )
    return float(confidence / 2 ** sum(doubts))


def _is_name(line: str) -> bool:
    words = re.findall(r"[^\W\d_]{2,}", line)
    return 2 <= len(words) <= 8 and not any(character.isdigit() for character in line) and not line.endswith((".", ","))
