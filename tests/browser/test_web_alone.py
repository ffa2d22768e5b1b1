"""Tests the web forms with a keyboard only, and under a rate limit with and without scripts."""

from collections.abc import Callable
from typing import Any

import pytest

SETTINGS = {
    "PARVIS_INGEST_WEB_SENDS_AT_ONCE": "2",
    "PARVIS_INGEST_WEB_SENDS_PER_MINUTE": "0.1",
    "PARVIS_INGEST_WEB_ASKS_FOR_WORK": "true",
    "PARVIS_INGEST_WEB_WORK_BITS": "10",
}
PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 100

pytestmark = pytest.mark.stack


def a_page(browser: Any, address: str, **more: Any) -> Any:
    context = browser.new_context(
        viewport={"width": 320, "height": 640}, extra_http_headers={"x-forwarded-for": address}, **more
    )
    return context.new_page()


def walk_to(page: Any, selector: str) -> None:
    """Press Tab until it is there."""
    for _ in range(80):
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not reach {selector}")


def _leave_alone(_chooser: Any) -> None:
    pass


def test_a_form_with_a_file_is_sent_by_keyboard_alone(browser: Any, door: str) -> None:
    page = a_page(browser, "203.0.113.10")
    page.on("filechooser", _leave_alone)  # from now on the browser asks us, and no dialog of its own opens
    page.goto(f"{door}/demarches/road-report?lang=fr")
    walk_to(page, ".skip")
    page.keyboard.press("Enter")
    walk_to(page, "#f-problem")
    page.keyboard.press("Space")
    walk_to(page, "#f-place")
    page.keyboard.type("12 rue des Lilas")
    walk_to(page, "#f-photo")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Space")
    chooser.value.set_files([{"name": "trou.png", "mimeType": "image/png", "buffer": PNG}])
    walk_to(page, "button[value=review]")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert "trou.png" in page.locator("dl.review").inner_text()
    walk_to(page, "main p > button")
    with page.expect_navigation():
        page.keyboard.press("Enter")

    assert page.locator(".reference").inner_text().startswith("P-")


def test_a_mistake_is_reached_from_the_summary_by_keyboard(browser: Any, door: str) -> None:
    page = a_page(browser, "203.0.113.11")
    page.goto(f"{door}/demarches/road-report?lang=fr")
    with page.expect_navigation():
        page.locator("button[value=review]").press("Enter")
    walk_to(page, ".errors a[href='#f-place']")
    page.keyboard.press("Enter")
    page.keyboard.type("12 rue des Lilas")

    assert page.locator("#f-place").input_value() == "12 rue des Lilas"


def in_a_crowd(page: Any, door: str, language: str) -> None:
    """The third form of one address within a minute."""
    for _ in range(3):
        page.goto(f"{door}/demarches/general-question?lang={language}")
        page.fill("#f-message", "Quand ouvre la piscine ?")
        with page.expect_navigation():
            page.locator("button[value=review]").click()


@pytest.mark.parametrize("language", ["fr", "en"])
def test_under_attack_a_proof_of_work_lets_the_form_pass(
    browser: Any, door: str, language: str, violations: Callable[[Any], list[str]]
) -> None:
    page = a_page(browser, {"fr": "203.0.113.20", "en": "203.0.113.21"}[language])
    in_a_crowd(page, door, language)

    assert page.locator(".notice.bad").is_visible()
    assert page.locator("#f-message").input_value() == "Quand ouvre la piscine ?"
    assert not violations(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.wait_for_function("document.querySelector('[name=_proof]').value")
    with page.expect_navigation():
        page.locator("button[value=review]").click()
    assert page.locator("dl.review").is_visible()


def test_without_a_script_the_same_pages_take_the_same_way(browser: Any, door: str) -> None:
    page = a_page(browser, "203.0.113.30", java_script_enabled=False)
    page.goto(f"{door}/demarches/road-report?lang=fr")
    page.check("#f-problem")
    page.fill("#f-place", "12 rue des Lilas")
    page.set_input_files("#f-photo", [{"name": "trou.png", "mimeType": "image/png", "buffer": PNG}])
    page.locator("button[value=review]").click()
    page.locator("dl.review button").nth(1).click()
    assert page.url.endswith("#f-place")
    assert page.locator("#f-place").input_value() == "12 rue des Lilas"
    page.locator("button[value=review]").click()
    assert "trou.png" in page.locator("dl.review").inner_text()
