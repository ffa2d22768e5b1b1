"""Parses the parameters of MIME header fields (RFC 2045, 2231) and their common malformations. Pure; no I/O."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from parvis.ingest_email.parse.mime.charsets import clean_line, decode_text
from parvis.ingest_email.parse.mime.headers import decode_words

_READ_CHARACTERS = 8000
_PARAMETER = re.compile(r"""([^\s=;:"()<>@,/?]{1,100})\s*=\s*("(?:[^"\\]|\\.)*"|"[^;"]*|[^;]*)""", re.ASCII | re.DOTALL)
_QUOTED_COMMENT = re.compile(r'("(?:[^"\\]|\\.)*")|\([^()"]*\)')
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_FOLDERS = re.compile(r"(?:[A-Za-z]:)?[\\/]|\.{1,2}[\\/]|[^/]*\\|file:")
_CONTINUED = re.compile(r"([^*]+)\*(\d{1,3})(\*?)")


@dataclass(frozen=True)
class MimeField:
    """`text/plain; charset=utf-8`: the word in lower case; the parameters by their lower-case names, the first of a name counts."""

    word: str
    parameters: Mapping[str, str]

    def get(self, name: str) -> str:
        return self.parameters.get(name, "")


def parse_field(value: str) -> MimeField:
    """Read whatever stands there. Cannot raise; an unreadable parameter is left out."""
    value = value[:_READ_CHARACTERS]
    word, _, rest = value.partition(";")
    return MimeField(_strip_comments(word).strip(" \t\"'").lower(), _parse_parameters(rest))


def _parse_parameters(text: str) -> dict[str, str]:
    plain: dict[str, str] = {}
    extended: dict[str, str] = {}
    pieces: dict[str, dict[int, tuple[str, bool]]] = {}
    for match in _PARAMETER.finditer(text):
        name, value = match[1].lower(), _unquote(match[2])
        if piece := _CONTINUED.fullmatch(name):
            pieces.setdefault(piece[1], {}).setdefault(int(piece[2]), (value, bool(piece[3])))
        elif name.endswith("*"):
            extended.setdefault(name[:-1], _decode_extended(value))
        else:
            plain.setdefault(name, value)
    joined = {name: _join_continuations(numbered) for name, numbered in pieces.items()}
    return {**plain, **joined, **extended}


def _unquote(value: str) -> str:
    if value.startswith('"'):
        closed = len(value) > 1 and value.endswith('"')
        return _ESCAPED.sub(_unescape, value[1:-1] if closed else value[1:])
    return _strip_comments(value).strip()


def _unescape(match: re.Match[str]) -> str:
    """A backslash of a Windows path is no escape: `"C:\\dir\\file.txt"` is what many programs write."""
    return match[1] if match[1] in '"\\' else match[0]


def _strip_comments(value: str) -> str:
    return _QUOTED_COMMENT.sub(lambda match: match[1] or " ", value)


def _decode_extended(value: str) -> str:
    """`iso-8859-1'fr'%E9t%E9.pdf`."""
    charset, quote, rest = value.partition("'")
    language, second, text = rest.partition("'")
    if not (quote and second) or len(language) > 40:
        return decode_text(unquote_to_bytes(value.encode("utf-8", "replace")), "utf-8")
    return decode_text(unquote_to_bytes(text.encode("utf-8", "replace")), charset)


def _join_continuations(numbered: Mapping[int, tuple[str, bool]]) -> str:
    """The pieces of a long value, each perhaps encoded; the charset stands in the first."""
    charset, content = "utf-8", b""
    for number in sorted(numbered):
        value, is_encoded = numbered[number]
        if number == min(numbered) and is_encoded and value.count("'") >= 2:
            charset, _, rest = value.partition("'")
            value = rest.partition("'")[2]
        written = value.encode("utf-8", "replace")
        content += unquote_to_bytes(written) if is_encoded else written
    return decode_text(content, charset)


def file_name(disposition: MimeField, content_type: MimeField) -> str:
    """The name that a part claims, on one line and without its folders; empty when it claims none."""
    claimed = disposition.get("filename") or content_type.get("name")
    return _without_folders(clean_line(decode_words(claimed), 400))[:200]


def _without_folders(name: str) -> str:
    """Without the folders of a path, which begins as one; else a slash is a sign that people write: « Devis du 12/03 »."""
    if _FOLDERS.match(name) or "/../" in name:
        return name.replace("\\", "/").rpartition("/")[2]
    return name.replace("/", "-")
