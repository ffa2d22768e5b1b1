"""Takes README's picture of the desk from a running `parvis demo`: python -m tests.browser.readme_picture"""

import json
from pathlib import Path

from playwright.sync_api import sync_playwright

from parvis.local.host_environment import current_environment, var_folder
from tests.browser.conftest import CHROMIUM, QUIET

_PICTURE = Path(__file__).parents[2] / "docs" / "images" / "desk.png"


def take_picture() -> None:
    """The queue of the civil registry, in French, as an agent sees it."""
    up = json.loads((var_folder(current_environment()) / "up.json").read_text(encoding="utf-8"))
    desk = f"http://127.0.0.1:{up['services']['desk']['port']}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=QUIET)
        page = browser.new_page(viewport={"width": 1280, "height": 760}, locale="fr-FR")
        page.goto(f"{desk}/login")
        page.fill("input[name=name]", "Camille Exemple")
        page.select_option("select[name=department]", "etat-civil")
        page.press("input[name=name]", "Enter")
        page.wait_for_url("**/queue*")
        page.screenshot(path=_PICTURE)
        browser.close()


if __name__ == "__main__":
    take_picture()
