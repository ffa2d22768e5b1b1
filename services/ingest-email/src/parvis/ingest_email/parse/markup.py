"""HTML in, the text a reader would see out. Pure; no I/O."""

from html.parser import HTMLParser

import nh3

_BLOCKS = frozenset(
    [
        "p",
        "div",
        "tr",
        "li",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "blockquote",
        "ul",
        "ol",
        "table",
        "pre",
        "section",
        "article",
        "header",
        "footer",
        "hr",
    ]
)
_KEPT = {*_BLOCKS, "br", "td", "th", "a", "img"}
_DROPPED = {"script", "style", "title", "noscript", "template", "object", "applet", "svg", "math"}


def text_of(html: str) -> str:
    """The words of a page with their line breaks, links with their target; nothing of what runs or hides.

    nh3 first: it reads the odd HTML of mail programs as browsers do, and what it writes is well-formed.
    """
    clean = nh3.clean(
        html,
        tags=_KEPT,
        clean_content_tags=_DROPPED,
        attributes={"a": {"href"}, "img": {"alt"}},
        strip_comments=True,
        link_rel=None,
    )
    reader = _Reader()
    reader.feed(clean)
    reader.close()
    return reader.text()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._words: list[str] = []
        self._target = ""
        self._in_pre = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "br" or tag in _BLOCKS:
            self._words.append("\n")
        if tag == "li":
            self._words.append("- ")
        elif tag in ("td", "th"):
            self._words.append(" ")
        elif tag == "img" and given.get("alt"):
            self._words.append(f"[{given['alt']}]")
        elif tag == "a":
            self._target = given.get("href", "")
        self._in_pre += tag == "pre"

    def handle_endtag(self, tag: str) -> None:
        if tag in _BLOCKS:
            self._words.append("\n")
        if tag == "a" and self._target.startswith(("http://", "https://")):
            if "".join(self._words[-1:]).strip() != self._target:
                self._words.append(f" <{self._target}>")
            self._target = ""
        self._in_pre -= tag == "pre"

    def handle_data(self, data: str) -> None:
        spaced = " ".join(data.split())
        lead, tail = " " * data[:1].isspace(), " " * data[-1:].isspace()
        self._words.append(data if self._in_pre > 0 else f"{lead}{spaced}{tail}" if spaced else " ")

    def text(self) -> str:
        lines = [" ".join(line.split(" ")).strip() for line in "".join(self._words).split("\n")]
        kept = [line for number, line in enumerate(lines) if line or (number and lines[number - 1])]
        return "\n".join(kept).strip()
