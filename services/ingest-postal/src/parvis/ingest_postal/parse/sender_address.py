"""Finds the sender's name and postal address on a letter's first page. Pure; no I/O."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from parvis.common.contract.errors import Rejected
from parvis.common.contract.normalize_contact_points import postal_contact_point
from parvis.ingest_postal.parse.address_lines import is_complement, is_country, is_name, is_street, parse_town_line
from parvis.ingest_postal.parse.own_addresses import OwnAddresses, fold
from parvis.ingest_postal.parse.text_blocks import LineSegment, TextBlock

_DIGITS_CONFIDENCE = 0.75  # a wrong digit is another address
_WORD_CONFIDENCE = 0.5
_HEAD = 0.45  # of the page's height: sender and addressee stand above it
_LEFT, _RIGHT = 0.42, 0.45
_MOST_LINES = 7

_TO_US = re.compile(
    r"\b(?:mairie|maire|maires|adjoint|hotel de ville|commune|communal|communaute de communes|ccas|prefecture|town hall|mayor|council|conseil municipal|etat civil|services? techniques?)\b"
)
_LABEL = re.compile(
    r"^(?:exp|expediteur|expeditrice|expediteurs|emetteur|de la part de|from|sender|mon adresse|notre adresse|mes coordonnees|nos coordonnees|my address)\b"
)
_OTHERS_LABEL = re.compile(
    r"^(?:destinataire|a l attention|attention|copie|copies|cc|p j|pj|to|objet|adresse d\w+|adresse de (?!l expediteur)\w+|proprietaire|locataire|bailleur|employeur|mandataire|le bien|logement)\b"
)
_CLOSING = re.compile(
    r"\b(?:salutations|sentiments|consideration|cordialement|respectueusement|bien a vous|sincerely|faithfully|regards|remerciements|remerciant|merci d avance|signature)\b"
)
_NO_ADDRESS_LINE = re.compile(
    r"@|\bwww\.|^\W*(?:t[ée]l|t[ée]l[ée]phone|mobile|port(?:able)?|fax|e-?mail|courriel|mail|m[ée]l|phone|siret|siren|rcs|iban|objet|date|r[ée]f|n[°ºo]|dossier|allocataire|adh[ée]rent|"
    r"n[ée]e? le|naissance|madame, monsieur)\b|^[\d\s.+()-]{9,}$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class SenderAddress:
    """The sender's name, street, postcode and town, with a confidence from 0 to 1 for reading and layout together."""

    lines: tuple[str, ...]
    confidence: float

    @property
    def name(self) -> str:
        return self.lines[0]

    @property
    def address(self) -> str:
        return "\n".join(self.lines)


@dataclass(frozen=True)
class _AddressBlock:
    """A text block with the form of an address."""

    lines: tuple[str, ...]
    words_confidence: float
    top: float
    left: float
    right: float
    label: str  # folded label before it, on its first line or the line above
    is_to_us: bool

    @property
    def is_labelled(self) -> bool:
        return bool(_LABEL.match(self.label))


def find_sender_address(blocks: Sequence[TextBlock], own: OwnAddresses) -> SenderAddress | None:
    """Find the sender's address by its position on the page.

    Gives: None without an address; a low confidence when two addresses qualify, when the letter is addressed to somebody else, or
           when a part is missing or doubtful.
    """
    addresses = [address for index in range(len(blocks)) for address in _find_addresses(blocks, index, own)]
    ours = [address for address in addresses if address.is_to_us]
    others = [address for address in addresses if not address.is_to_us and not _OTHERS_LABEL.match(address.label)]
    candidates = [
        SenderAddress(
            candidate.lines, candidate.words_confidence * _position_confidence(candidate, others, bool(ours), blocks)
        )
        for candidate in others
    ]
    candidates.sort(key=lambda sender: -sender.confidence)
    if not candidates:
        return None
    rivals = [
        candidate
        for candidate in candidates[1:]
        if fold(candidate.address) != fold(candidates[0].address)
        and candidate.confidence > 0.6 * candidates[0].confidence
    ]
    return SenderAddress(candidates[0].lines, candidates[0].confidence / (2 if rivals else 1))


def _position_confidence(
    address: _AddressBlock, others: Sequence[_AddressBlock], is_to_us: bool, blocks: Sequence[TextBlock]
) -> float:
    """The confidence that an address at this position is the sender's (AFNOR NF Z 11-001: sender top left, addressee lower right)."""
    if address.is_labelled:
        return 1.0
    in_window = [
        other for other in others if other is not address and other.left >= _RIGHT and 0.08 < other.top < _HEAD
    ]
    if address.top < _HEAD and address.left < _LEFT:
        return 0.5 if in_window and not is_to_us else 1.0
    if address.top < _HEAD:
        # English layout: top right above the addressee, or a centred letterhead.
        is_letterhead = address.top < 0.12 and abs((address.left + address.right) / 2 - 0.5) < 0.04
        return 0.93 if is_to_us or is_letterhead else 0.5
    closing = [piece.top for block in blocks for piece in block.segments if _CLOSING.search(fold(piece.text))]
    return 0.93 if closing and address.top > max(closing) else 0.3


def _find_addresses(blocks: Sequence[TextBlock], index: int, town: OwnAddresses) -> Iterator[_AddressBlock]:
    pieces = list(blocks[index].segments)
    last = next(
        (at for at, piece in enumerate(pieces) if parse_town_line(_without_label(piece.text), town.departments)), None
    )
    if last is None or last + 1 > _MOST_LINES + 4:
        return
    address_pieces = [piece for piece in pieces[: last + 1] if not _NO_ADDRESS_LINE.search(piece.text)]
    label = _label(address_pieces, blocks, index)
    if address_pieces and _LABEL.match(fold(address_pieces[0].text)) and not _without_label(address_pieces[0].text):
        address_pieces = address_pieces[1:]
    country = pieces[last + 1].text.strip(" .") if last + 1 < len(pieces) and is_country(pieces[last + 1].text) else ""
    lines = tuple(_address_lines(address_pieces, country, town))
    try:
        lines = tuple(postal_contact_point("\n".join(lines)).value.splitlines())
    except Rejected:
        return
    first = address_pieces[0] if address_pieces else pieces[0]
    to_us = any(_TO_US.search(fold(piece.text)) for piece in pieces[: last + 1]) or _is_ours(lines, town)
    yield _AddressBlock(
        lines,
        _reading_confidence(lines, address_pieces, country, town),
        first.top,
        blocks[index].left,
        blocks[index].right,
        label,
        to_us,
    )


def _label(pieces: Sequence[LineSegment], blocks: Sequence[TextBlock], index: int) -> str:
    """The label before a colon on the first line, or on the line above the block; empty without one."""
    if pieces and (":" in pieces[0].text or _LABEL.match(fold(pieces[0].text))):
        return fold(pieces[0].text)
    labelled = blocks[index]
    above = [
        piece
        for block in blocks
        for piece in block.segments
        if block is not labelled and 0 < labelled.top - piece.bottom < 0.045 and abs(piece.left - labelled.left) < 0.06
    ]
    return fold(max(above, key=lambda piece: piece.bottom).text) if above else ""


def _address_lines(pieces: Sequence[LineSegment], country: str, town: OwnAddresses) -> Iterator[str]:
    """Split the address into lines; « 12 rue du Lac, 00100 Val-Exemple » becomes two."""
    for piece in pieces:
        text = _without_label(piece.text).strip(" ,;•-–—|")
        town_line = parse_town_line(text, town.departments)
        if not town_line:
            yield text
            continue
        for part in re.split(r"\s*[,;•|]\s+|\s+[–—-]\s+", town_line.street):
            if part:
                yield part
        yield town_line.line
        if country:
            yield country.upper()


def _without_label(text: str) -> str:
    label, colon, rest = text.partition(":")
    if colon and _LABEL.match(fold(label)):
        return rest.strip()
    return "" if _LABEL.fullmatch(fold(text)) else text


def _reading_confidence(lines: Sequence[str], pieces: Sequence[LineSegment], country: str, town: OwnAddresses) -> float:
    """The OCR confidence, halved for each missing or doubtful part of the address."""
    words = [word for piece in pieces for word in piece.words]
    letters = sum(len(word.text) for word in words)
    confidence = sum(word.confidence * len(word.text) for word in words) / max(letters, 1)
    before_town = lines[: -2 if country else -1]
    last = parse_town_line(lines[len(before_town)], town.departments)
    doubts = (
        not (before_town and is_name(before_town[0])),
        not any(is_street(line) for line in before_town[1:]),
        any(not _belongs(line) for line in before_town[1:]),
        last is None or (last.is_foreign and not country) or not (last.is_plausible or country),
        any(word.confidence < _DIGITS_CONFIDENCE for word in words if any(c.isdigit() for c in word.text)),
        any(word.confidence < _WORD_CONFIDENCE for word in words if len(word.text) > 2),
        any(_has_mixed_number(line) for line in lines),
    )
    return float(confidence / 2 ** sum(doubts))


def _belongs(line: str) -> bool:
    """Whether a line between name and town can be part of an address."""
    return is_street(line) or is_complement(line) or is_name(line) or len(line.split()) <= 5


def _has_mixed_number(line: str) -> bool:
    """Whether a number contains a letter that looks like a digit: it was misread."""
    return bool(re.search(r"\b(?:\d*[OoIlSsBZ]\d+|\d+[OoIlSZ]\d*)\b", line))


def _is_ours(lines: Sequence[str], town: OwnAddresses) -> bool:
    plain = [fold(line) for line in lines]
    return any(line in town.names or line in town.streets for line in plain)
