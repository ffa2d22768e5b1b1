"""Renders the HTML part of a mail from its plain text, without remote content or tables. Pure; no I/O."""

import re
from dataclasses import dataclass
from html import escape

# Colours are inline, for mail programs that drop <style>; the style sheet overrides them in dark mode.
# Contrast, light and dark: text 15:1 and 13:1, links 7:1 and 9:1 (WCAG 2.2 AAA).
_STYLE = """\
:root{color-scheme:light dark;supported-color-schemes:light dark}
@media (prefers-color-scheme:dark){
.ground{background:#14171c!important;color:#e6e8eb!important}
.sheet{background:#1d2128!important;border-color:#3a414c!important}
.quiet{color:#b7bdc7!important}
a{color:#9cc3ff!important}
}"""
_GROUND = "margin:0;padding:0;background:#f2f4f7;color:#1b1f24"
_SHEET = (
    "max-width:36em;margin:0 auto;padding:20px 16px;background:#ffffff;border-top:4px solid #1f4f8b;"
    "font:16px/1.5 -apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;overflow-wrap:break-word;word-wrap:break-word"
)
_PARAGRAPH = '<p style="margin:0 0 1em">{}</p>'
_TITLE = '<h1 style="font-size:20px;line-height:1.3;margin:0 0 .8em">{}</h1>'
_TOWN = '<p class="quiet" style="margin:0 0 .6em;font-weight:bold;color:#454c57">{}</p>'
_FOOT = '<p class="quiet" style="margin:1.5em 0 0;font-size:14px;color:#454c57">{}</p>'
_LINK = '<a href="{0}" style="color:#1f4f8b">{1}</a>'
_REFERENCE = '<strong style="white-space:nowrap">{}</strong>'
_END_OF_SENTENCE = ".,;:!?)"


@dataclass(frozen=True)
class MailPage:
    """The content of a mail, and our own addresses, which alone become links."""

    language: str
    town: str
    title: str
    text: str
    reference: str
    footer: str = ""
    web: tuple[str, ...] = ()
    mailboxes: tuple[str, ...] = ()


def render_mail_html(page: MailPage) -> str:
    """Render a complete HTML page, for 320 px, screen readers, light and dark mode."""
    body = "\n".join(_PARAGRAPH.format(_link_own_addresses(paragraph, page)) for paragraph in page.text.split("\n\n"))
    footer = f"\n{_FOOT.format(_link_own_addresses(page.footer, page))}" if page.footer else ""
    language, title = escape(page.language), escape(page.title)
    return (
        f'<!DOCTYPE html>\n<html lang="{language}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="supported-color-schemes" content="light dark">\n'
        f"<title>{title}</title>\n<style>\n{_STYLE}\n</style>\n</head>\n"
        f'<body class="ground" style="{_GROUND}">\n'
        f'<div class="sheet" role="article" lang="{language}" aria-label="{title}" style="{_SHEET}">\n'
        f"{_TOWN.format(escape(page.town))}\n{_TITLE.format(_link_own_addresses(page.title, page))}\n{body}{footer}\n"
        "</div>\n</body>\n</html>\n"
    )


def _link_own_addresses(text: str, page: MailPage) -> str:
    """Escape a text; make our own addresses links, and keep the reference on one line."""
    pattern = re.compile("|".join(re.escape(word) for word in (page.reference, *page.mailboxes)) + r"|https?://\S+")
    parts: list[str] = []
    ends = 0
    for match in pattern.finditer(text):
        word = match[0].rstrip(_END_OF_SENTENCE)
        parts += [escape(text[ends : match.start()]), _mark_word(word, page)]
        ends = match.start() + len(word)
    return "".join([*parts, escape(text[ends:])]).replace("\n", "<br>\n")


def _mark_word(word: str, page: MailPage) -> str:
    if word == page.reference:
        return _REFERENCE.format(escape(word))
    if word in page.mailboxes:
        return _LINK.format(f"mailto:{escape(word)}", escape(word))
    if any(word == web or word.startswith(f"{web}/") for web in page.web):
        return _LINK.format(escape(word), escape(word))
    return escape(word)
