"""Checks pages for elements, attributes and addresses that no harmless page has, in a real browser where there is one."""

import contextlib
import importlib.util
from collections.abc import AsyncGenerator, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

CHROMIUM = Path("/usr/bin/chromium")
_ADDRESSES = ("href", "src", "action", "formaction", "style", "srcdoc", "data", "xlink:href", "http-equiv")
# DOMParser builds the page as a browser does and runs nothing of it.
_MARKS = """([pages, addresses]) => pages.map(html => {
  const page = new DOMParser().parseFromString(html, "text/html");
  return [...page.querySelectorAll("*")].map(element => [...element.attributes].map(attribute =>
    attribute.name + (addresses.includes(attribute.name) ? "=" + attribute.value : "")).sort().join(" ")
    .replace(/^/, element.localName + " "));
})"""


class Pages:
    """Collects the elements, attributes and addresses of harmless pages."""

    def __init__(self, page: Any) -> None:
        self._page = page
        self._known: set[str] = set()
        self.reader = "chromium" if page else "html.parser"

    @classmethod
    @contextlib.asynccontextmanager
    async def watching(cls) -> AsyncGenerator["Pages"]:
        if not CHROMIUM.exists() or not importlib.util.find_spec("playwright"):
            yield cls(None)
            return
        from playwright.async_api import async_playwright

        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"]
            )
            yield cls(await browser.new_page())
            await browser.close()

    async def learn(self, innocent: Sequence[str]) -> None:
        self._known = {mark for marks in await self._marks(innocent) for mark in marks}

    async def odd_ones(self, pages: Sequence[str]) -> int:
        """Count the pages with an element, attribute or address that no harmless page has."""
        return sum(not set(marks) <= self._known for marks in await self._marks(pages))

    async def _marks(self, pages: Sequence[str]) -> list[list[str]]:
        if self._page:
            found = await self._page.evaluate(_MARKS, [list(pages), list(_ADDRESSES)])
        else:
            found = [_Elements.of(page) for page in pages]
        return [[_without_reference(mark) for mark in marks] for marks in found]


def hidden(page: str) -> dict[str, str]:
    """The hidden inputs of a page, as a browser would send them back."""
    reader = _Inputs()
    reader.feed(page)
    return reader.found


def _without_reference(mark: str) -> str:
    """Remove the link to the other language, which holds a reference that differs from page to page."""
    return "/merci/" if "/merci/" in mark else mark


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.marks: list[str] = []

    @classmethod
    def of(cls, page: str) -> list[str]:
        reader = cls()
        reader.feed(page)
        return reader.marks

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = sorted(f"{name}={value}" if name in _ADDRESSES else name for name, value in attrs)
        self.marks.append(" ".join([tag, *told]))


class _Inputs(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "input" and given.get("type") == "hidden":
            self.found[given.get("name") or ""] = given.get("value") or ""
