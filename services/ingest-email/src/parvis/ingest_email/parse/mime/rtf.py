"""Converts Outlook's compressed RTF ([MS-OXRTFCP], [MS-OXRTFEX]) to text or HTML. Pure; no I/O."""

import codecs
import re
import struct
from dataclasses import dataclass, field

_START = (
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \\fdecor MS Sans SerifSymbolArial"
    b"Times New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par \\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx"
)
_HEAD_BYTES, _WINDOW = 16, 4096
_LARGEST_BYTES = 2 * 1024 * 1024
_TOKEN = re.compile(
    r"\\(?P<word>[a-zA-Z]{1,32})(?P<number>-?\d{1,9})? ?|\\'(?P<hex>[0-9a-fA-F]{2})|\\(?P<symbol>[^a-zA-Z])|(?P<brace>[{}])|(?P<text>[^\\{}\r\n]+)|[\r\n]+"
)
_SKIPPED = frozenset(
    ["fonttbl", "colortbl", "stylesheet", "info", "pict", "object", "themedata", "datastore", "generator", "listtable", "listoverridetable", "xmlnstbl", "rsidtbl", "fldinst", "mhtmltag", "header", "footer", "headerl", "headerr", "footerl", "footerr", "private"]
)  # fmt: skip
_BREAKS = {"par": "\n", "line": "\n", "row": "\n", "sect": "\n", "page": "\n", "tab": "\t", "cell": " | ", "lquote": "\u2018",
           "rquote": "\u2019", "ldblquote": "\u201c", "rdblquote": "\u201d", "bullet": "\u2022", "endash": "\u2013", "emdash": "\u2014"}  # fmt: skip


@dataclass(frozen=True)
class RtfText:
    text: str
    is_html: bool = False


def decompress_rtf(content: bytes) -> bytes | None:
    """Decompress to RTF, at most 2 MiB; None if the header is not one of compressed RTF."""
    if len(content) < _HEAD_BYTES:
        return None
    raw_size, kind = struct.unpack_from("<I4s", content, 4)
    if kind == b"MELA":
        return content[_HEAD_BYTES : _HEAD_BYTES + min(raw_size, _LARGEST_BYTES)]
    return _decompress_lzfu(content[_HEAD_BYTES:]) if kind == b"LZFu" else None


def _decompress_lzfu(packed: bytes) -> bytes:
    """Expand literals and references into a window of 4,096 bytes; a reference to the write position ends the data."""
    output = bytearray(_START)
    at = 0
    while at < len(packed) and len(output) < _LARGEST_BYTES:
        flags, at = packed[at], at + 1
        for bit in range(8):
            if not flags >> bit & 1:
                output += packed[at : at + 1]
                at += 1
                continue
            pointer = int.from_bytes(packed[at : at + 2], "big")
            at += 2
            back = (len(output) - (pointer >> 4)) % _WINDOW
            if at > len(packed) or not back:
                return bytes(output[len(_START) :])
            for _ in range((pointer & 15) + 2):  # a reference may overlap its own output
                output.append(output[-back] if back <= len(output) else 0)
    return bytes(output[len(_START) :])


def rtf_to_text(rtf: bytes) -> RtfText:
    """Convert RTF to text, or to the HTML that it encapsulates. Never raises."""
    text = rtf.decode("latin-1")
    reader = _RtfReader(_document_charset(text), is_html="\\fromhtml" in text[:1000])
    for token in _TOKEN.finditer(text):
        reader.take(token)
    return RtfText(reader.text(), reader.is_html)


@dataclass
class _RtfReader:
    """The state of the conversion; `octets` waits to be decoded with the charset of the document."""

    charset: str
    is_html: bool
    pieces: list[str] = field(default_factory=list[str])
    octets: bytearray = field(default_factory=bytearray)
    groups: list[tuple[bool, bool]] = field(default_factory=list[tuple[bool, bool]])
    skips: bool = False
    in_tag: bool = False
    after_unicode: int = 0

    def take(self, token: re.Match[str]) -> None:
        if token["brace"] == "{":
            self.groups.append((self.skips, self.in_tag))
        elif token["brace"]:
            self.skips, self.in_tag = self.groups.pop() if self.groups else (False, False)
        elif not self._turns_off(token):
            self._show(token)

    def _turns_off(self, token: re.Match[str]) -> bool:
        word = token["word"]
        if word in _SKIPPED or (token["symbol"] == "*" and not self.is_html):
            self.skips = True
        elif word == "htmltag":
            self.in_tag, self.skips = True, False
        elif word == "htmlrtf":
            self.skips = token["number"] != "0"
        return self.skips

    def _show(self, token: re.Match[str]) -> None:
        word = token["word"]
        if word == "u" and token["number"]:
            self._append(chr(int(token["number"]) % 65536))
            self.after_unicode = 1  # the next character is the fallback for readers without Unicode
        elif word in _BREAKS and not (self.in_tag and word == "par"):
            self._append(_BREAKS[word])
        elif token["symbol"] and token["symbol"] in "\\{}~_":
            self._append({"~": "\u00a0", "_": "-"}.get(token["symbol"], token["symbol"]))
        elif token["hex"] or token["text"]:
            octets = bytes((int(token["hex"], 16),)) if token["hex"] else token["text"].encode("latin-1")
            self.octets += octets[self.after_unicode :]
            self.after_unicode = 0

    def _append(self, text: str) -> None:
        self.pieces += [self.octets.decode(self.charset, "replace"), text]
        self.octets.clear()

    def text(self) -> str:
        self._append("")
        return "".join(self.pieces).encode("utf-16", "surrogatepass").decode("utf-16", "replace").strip()


def _document_charset(text: str) -> str:
    match = re.search(r"\\ansicpg(\d{3,5})", text[:2000])
    name = f"cp{match[1]}" if match else "cp1252"
    try:
        return codecs.lookup(name).name
    except LookupError:
        return "cp1252"
