"""Converts HTML to the text a reader would see. Pure; no I/O."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from html.parser import HTMLParser

import nh3

from parvis.ingest_email.parse.mime.css_visibility import SHOWN, Visibility, apply_style

_BLOCKS = frozenset(
    ["p", "div", "tr", "li", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "ul", "ol", "dl", "dt", "dd", "table", "pre", "section", "article", "header", "footer", "hr", "center", "figure", "address",
     "main", "nav", "aside", "form", "fieldset", "legend", "caption", "details", "summary", "figcaption", "dialog", "menu", "dir", "marquee",
     "textarea", "option", "text"]
)  # fmt: skip
_PARAGRAPHS = frozenset(
    ["p", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "ul", "ol", "dl", "table", "pre", "hr", "figure"]
)
_INLINE = frozenset(
    ["span", "font", "b", "i", "u", "s", "em", "strong", "small", "big", "a", "img", "br", "td", "th", "label", "sup", "sub", "code", "tt", "q", "del", "ins",
     "input", "select", "svg", "math", "mi", "mo", "mn", "ms", "mtext"]
)  # fmt: skip
# What no browser shows; `desc`, `defs` and `metadata` are SVG's.
_DROPPED = {"script", "style", "title", "template", "applet", "desc", "defs", "metadata"}
_PREFORMATTED = ("pre", "textarea")
_UNSHOWN_INPUTS = ("hidden", "password", "file", "image", "color", "range")
_VOID = frozenset({"br", "hr", "img", "input"})
_LONGEST_CHARACTERS = 2 * 1024 * 1024
_MOST_TAGS, _DEEPEST = 100_000, 2000
_NESTED = re.compile(
    r"</?(?:div|blockquote|center|section|article|ul|ol|li|dl|dd|dt|form|table|fieldset|address|pre)\b", re.IGNORECASE
)
_TAG = re.compile(r"<[^<>]{0,2000}>")
_PICTURE = re.compile(r"data:image/[a-z+]{2,20};base64,[A-Za-z0-9+/=\s%]{200,}", re.IGNORECASE)
# Programs that run no scripts show what is inside; nh3 reads it as one that does.
_NOSCRIPT = re.compile(r"</?noscript\b[^<>]{0,200}>", re.IGNORECASE)
# In place of `&` while nh3 parses: html5ever takes quadratic time for many, 5 s for 250,000.
_AMPERSAND, _MOST_AMPERSANDS = "\x0e", 10_000
_CONTROLS = dict.fromkeys(range(1, 9))
# Marks in what is read, taken out of what is shown: a cell begins, a quote begins, one ends; a new line, a new paragraph.
_CELL, _OPEN, _CLOSE, _LINE, _PARAGRAPH = "\x01", "\x02", "\x03", "\x04", "\x05"
_BREAKS = re.compile("[\x02-\x05\n](?: *[\x02-\x05\n])*")
_WORDLESS = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class HtmlText:
    """The text, and the number of remote images, which are never fetched."""

    text: str
    remote_images: int = 0
    is_cut: bool = False


def html_to_text(html: str) -> str:
    """Convert HTML to text with line breaks and link targets; scripts and hidden elements are left out."""
    return parse_html(html).text


def parse_html(html: str) -> HtmlText:
    """Convert HTML to text and count its remote images.

    nh3 first parses malformed HTML as browsers do and writes well-formed HTML. It takes quadratic time for tags nested thousands deep;
    for these only the tags are removed.
    """
    html = _PICTURE.sub("data:", html)
    is_cut, html = len(html) > _LONGEST_CHARACTERS, html[:_LONGEST_CHARACTERS]
    if html.count("<") > _MOST_TAGS or _nesting_depth(html) > _DEEPEST:
        return HtmlText(unescape(_TAG.sub(" ", html)), is_cut=is_cut)
    html = _NOSCRIPT.sub("", html)
    is_flood = html.count("&") > _MOST_AMPERSANDS
    clean = nh3.clean(
        html.replace("&", _AMPERSAND) if is_flood else html,
        tags={*_BLOCKS, *_INLINE},
        clean_content_tags=_DROPPED,
        attributes={
            "*": {"style", "hidden"},
            "a": {"href"},
            "img": {"alt", "src"},
            "input": {"type", "value", "checked"},
            "option": {"selected"},
        },
        url_schemes={"http", "https", "mailto", "tel", "cid", "data"},
        strip_comments=True,
        link_rel=None,
    )
    clean = clean.replace(_AMPERSAND, "&") if is_flood else clean
    reader = _read(clean)
    if not reader.has_words:  # hidden words are better than none
        reader = _read(clean, shows_hidden=True)
    return HtmlText(reader.text(), reader.remote_images, is_cut)


def _read(clean: str, *, shows_hidden: bool = False) -> "_HtmlReader":
    reader = _HtmlReader(shows_hidden=shows_hidden)
    reader.feed(clean)
    reader.close()
    return reader


def _nesting_depth(html: str) -> int:
    deepest = depth = 0
    for tag in _NESTED.finditer(html):
        depth += -1 if tag[0][1] == "/" else 1
        deepest = max(deepest, depth)
    return deepest


class _HtmlReader(HTMLParser):
    def __init__(self, *, shows_hidden: bool) -> None:
        super().__init__(convert_charrefs=True)
        self._shows_hidden = shows_hidden
        self._styles: list[Visibility] = []
        self.has_words = False
        self._words: list[str] = []
        self._link: tuple[str, int] = ("", 0)
        self._in_pre = 0
        self._lists: list[int] = []
        self.remote_images = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "img" and attributes.get("src", "").startswith(("http:", "https:", "//")):
            self.remote_images += 1
        is_hidden = "hidden" in attributes or (tag == "option" and "selected" not in attributes)
        visibility = apply_style(self._visibility, attributes.get("style", ""), is_hidden=is_hidden)
        if tag not in _VOID:
            self._styles.append(visibility)
        if not (visibility.takes_space or self._shows_hidden):
            return
        self._words.append("\n" if tag == "br" else _break_mark(tag))
        self._open(tag, attributes, visibility)

    def _open(self, tag: str, attributes: dict[str, str], visibility: Visibility) -> None:
        if tag == "li":
            self._words.append(self._bullet())
        elif tag in ("ul", "ol"):
            self._lists.append(1 if tag == "ol" else 0)
        elif tag in ("td", "th"):
            self._words.append(_CELL)
        elif tag == "blockquote":
            self._words.append(_OPEN)
        elif tag == "img" and attributes.get("alt", "").strip() and self._is_shown(visibility):
            self._words.append(f"[{attributes['alt'].strip()}]")
        elif tag == "input" and self._is_shown(visibility):
            self.handle_data(f" {_field_text(attributes)} ")
        elif tag == "a":
            self._link = attributes.get("href", "").strip(), len(self._words)
        self._in_pre += tag in _PREFORMATTED

    @property
    def _visibility(self) -> Visibility:
        return self._styles[-1] if self._styles else SHOWN

    def _is_shown(self, visibility: Visibility) -> bool:
        return self._shows_hidden or visibility.is_shown

    def _bullet(self) -> str:
        if not (self._lists and self._lists[-1]):
            return "- "
        self._lists[-1] += 1
        return f"{self._lists[-1] - 1}. "

    def handle_endtag(self, tag: str) -> None:
        visibility = self._visibility
        if tag not in _VOID and self._styles:
            self._styles.pop()
        if not (visibility.takes_space or self._shows_hidden):
            return
        if tag == "a":
            self._close_link()
        elif tag == "blockquote":
            self._words.append(_CLOSE)
        elif tag in ("ul", "ol") and self._lists:
            self._lists.pop()
        self._words.append(_break_mark(tag))
        self._in_pre -= tag in _PREFORMATTED

    def _close_link(self) -> None:
        """Append the target of a link unless its text already contains it."""
        target, since = self._link
        address = (
            target.removeprefix("mailto:").removeprefix("tel:").partition("?")[0]
            if target[:7].lower() in ("mailto:", "tel:")
            else target
        )
        is_shown = address.startswith(("http", *"+0123456789")) or target.startswith("mailto:")
        letters = _WORDLESS.sub("", address.partition("://")[2] or address)
        if is_shown and letters not in _WORDLESS.sub("", "".join(self._words[since:])):
            self._words.append(f" <{address}>")
        self._link = ("", 0)

    def handle_data(self, data: str) -> None:
        if not self._is_shown(self._visibility):
            return
        data = data.translate(_CONTROLS)
        self.has_words = self.has_words or any(map(str.isalnum, data))
        spaced = " ".join(data.split())
        lead, tail = " " * data[:1].isspace(), " " * data[-1:].isspace()
        self._words.append(data if self._in_pre > 0 else f"{lead}{spaced}{tail}" if spaced else " ")

    def text(self) -> str:
        return "\n".join(self._lines()).strip()

    def _lines(self) -> Iterator[str]:
        """Yield the lines, with `>` for each quote level and ` | ` between cells."""
        depth = 0
        for written in _BREAKS.sub(_line_breaks, "".join(self._words)).split("\n"):
            depth += written.count(_OPEN)
            cells = (
                " ".join(cell.split(" ")).strip()
                for cell in written.replace(_OPEN, "").replace(_CLOSE, "").split(_CELL)
            )
            line = " | ".join(cell for cell in cells if cell)
            yield f"{'>' * min(depth, 20)} {line}".rstrip() if depth else line
            depth = max(0, depth - written.count(_CLOSE))


def _field_text(attributes: dict[str, str]) -> str:
    """What a form field shows."""
    kind = attributes.get("type", "").lower()
    if kind in ("checkbox", "radio"):
        return "[x]" if "checked" in attributes else "[ ]"
    return "" if kind in _UNSHOWN_INPUTS else attributes.get("value", "")


def _break_mark(tag: str) -> str:
    return _PARAGRAPH if tag in _PARAGRAPHS else _LINE if tag in _BLOCKS else ""


def _line_breaks(run: re.Match[str]) -> str:
    """The line ends that browsers show for a run of breaks; where it crosses the edge of a quote, they are outside."""
    marks = run[0]
    breaks = marks.count("\n")
    if breaks < len(marks.replace(" ", "")):
        breaks += not marks.startswith("\n")  # the last break of a block shows nothing
    if _PARAGRAPH in marks or _OPEN in marks or _CLOSE in marks:
        breaks = 2
    return _CLOSE * marks.count(_CLOSE) + "\n" * min(breaks, 2) + _OPEN * marks.count(_OPEN)
