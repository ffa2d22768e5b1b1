"""Tests every page for citizens: no accessibility violation, no horizontal scrolling at 320 px, under 50 kB."""

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from parvis.common.town.loading import load_town_config

TOWN = load_town_config(Path(__file__).parents[2] / "config" / "example-town")
LARGEST_BYTES = 50_000
WEIGHT = "performance.getEntries().reduce((sum, entry) => sum + (entry.decodedBodySize || 0), 0)"
# References are as wide as their letters: what fits by chance today must fit tomorrow.
WIDEST_REFERENCE = "document.querySelectorAll('.reference').forEach(one => { one.textContent = 'P-MWMW-WMWM-MWMW' })"
A_HOME = "203.0.113.7"
SETTINGS = {"PARVIS_INGEST_WEB_SENDS_AT_ONCE": "1000", "PARVIS_INGEST_WEB_LARGEST_REQUEST_MB": "1"}
PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 100

pytestmark = pytest.mark.stack
Visit = Callable[["Visitor"], None]


class Visitor:
    """Somebody with a browser."""

    def __init__(self, page: Any, door: str, language: str) -> None:
        self.page, self.door, self.language = page, door, language

    def open(self, path: str) -> None:
        self.page.goto(f"{self.door}{path}?lang={self.language}")

    def press(self, value: str = "review") -> None:
        button = self.page.locator("main button[value=review]" if value == "review" else value).first
        with self.page.expect_navigation():
            button.click()

    def fill_in(self, slug: str = "road-report") -> None:
        self.open(f"/demarches/{slug}")
        self.page.check("#f-problem")
        self.page.fill("#f-place", "12 rue des Lilas, devant la boulangerie")
        self.page.fill("#f-details", "Un trou profond, en travers de la rue.\nUn vélo est tombé ce matin.")
        self.page.set_input_files("#f-photo", [{"name": "trou.png", "mimeType": "image/png", "buffer": PNG}])
        self.page.fill("#f-your-name", "Camille Exemple")
        self.page.check("#f-reply-channel-post")
        self.page.fill("#f-reply-post", "3 rue Haute\n00100 Val-Exemple")


def home(visitor: Visitor) -> None:
    visitor.open("/")


def lost(visitor: Visitor) -> None:
    visitor.open("/demarches/nothing")


def form(slug: str) -> Visit:
    def visit(visitor: Visitor) -> None:
        visitor.open(f"/demarches/{slug}")

    return visit


def mistakes(slug: str) -> Visit:
    def visit(visitor: Visitor) -> None:
        visitor.open(f"/demarches/{slug}")
        if not TOWN.procedures[slug].anonymous:
            visitor.page.check("#f-reply-channel-email")
        visitor.press()
        assert visitor.page.locator(".errors").is_visible()

    return visit


def last_look(visitor: Visitor) -> None:
    visitor.fill_in()
    visitor.press()
    assert visitor.page.locator("dl.review").is_visible()


def changing(visitor: Visitor) -> None:
    last_look(visitor)
    visitor.press("dl.review button >> nth=2")
    assert visitor.page.locator("#f-details").input_value().startswith("Un trou profond")


def receipt(visitor: Visitor) -> None:
    last_look(visitor)
    visitor.press("main p button")
    assert visitor.page.locator(".reference").is_visible()


def changed_after_sending(visitor: Visitor) -> None:
    visitor.fill_in()
    token = visitor.page.locator("input[name=_once]").input_value()
    visitor.press()
    visitor.press("main p button")
    visitor.fill_in()
    visitor.page.evaluate("token => document.querySelector('input[name=_once]').value = token", token)
    visitor.page.fill("#f-place", "Ailleurs")
    visitor.press()
    assert visitor.page.locator(".notice").first.is_visible()


def too_heavy(visitor: Visitor) -> None:
    visitor.fill_in()
    heavy = [{"name": "a.png", "mimeType": "image/png", "buffer": PNG + b"x" * 1_200_000}]
    visitor.page.set_input_files("#f-photo", heavy)
    visitor.press()
    assert visitor.page.locator(".notice.bad").is_visible()


def stale(visitor: Visitor) -> None:
    visitor.fill_in()
    visitor.page.evaluate("document.querySelector('input[name=_once]').value = 'x'")
    visitor.press()
    assert visitor.page.locator(".notice").first.is_visible()


VISITS: dict[str, Visit] = {
    "home": home,
    "404": lost,
    **{f"form {slug}": form(slug) for slug in TOWN.procedures},
    **{f"mistakes {slug}": mistakes(slug) for slug in TOWN.procedures},
    "last look": last_look,
    "changing": changing,
    "receipt": receipt,
    "409": changed_after_sending,
    "413": too_heavy,
    "stale": stale,
}


@pytest.fixture(params=["fr", "en"])
def language(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def visitor(browser: Any, door: str, language: str) -> Generator[Visitor]:
    context = browser.new_context(
        viewport={"width": 320, "height": 640}, extra_http_headers={"x-forwarded-for": A_HOME}
    )
    yield Visitor(context.new_page(), door, language)
    context.close()


@pytest.mark.parametrize("visit", VISITS.values(), ids=VISITS)
def test_a_page_has_no_barrier(visitor: Visitor, visit: Visit, violations: Callable[[Any], list[str]]) -> None:
    visit(visitor)
    page = visitor.page

    if visitor.language == "fr":  # what axe sees is the same in both languages: structure, names, colours
        assert not violations(page)
    page.evaluate(WIDEST_REFERENCE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert page.locator("html").get_attribute("lang") == visitor.language
    assert 0 < page.evaluate(WEIGHT) <= LARGEST_BYTES
