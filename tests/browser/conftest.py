"""Provides a real browser in front of ingest-web; skips, with the reason, where there is none."""

import importlib.util
import re
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from parvis.local.towns_on_shared_brokers import TownsOnSharedBrokers
from tests.patience import PATIENCE_S

CHROMIUM = Path("/usr/bin/chromium")
QUIET = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
# The tags of WCAG 2.2 AA and of the French RGAA 4.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "RGAAv4"]
_RUN = "async (tags) => (await axe.run(document, {runOnly: {type: 'tag', values: tags}})).violations"

Look = Callable[[Any], list[str]]


def log_in(browser: Any, desk: str, name: str = "Dominique Exemple", *, scripts: bool = True, **chosen: str) -> Any:
    """A page of the desk in a browser of its own, logged in; `chosen`: role, department, confidential."""
    context = browser.new_context(locale="fr-FR", java_script_enabled=scripts, viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.set_default_timeout(PATIENCE_S * 1000)
    page.goto(f"{desk}/login")
    page.fill("input[name=name]", name)
    for field, value in ({"department": "voirie"} | chosen).items():
        page.select_option(f"select[name={field}]", value)
    page.press("input[name=name]", "Enter")
    page.wait_for_url(re.compile(r"/(?!login)[\w/-]*$"))
    return page


def missing() -> str | None:
    if not CHROMIUM.exists():
        return f"no browser at {CHROMIUM}: make system"
    absent = [name for name in ("playwright", "axe_playwright_python") if not importlib.util.find_spec(name)]
    return f"{', '.join(absent)} not installed: make setup" if absent else None


@pytest.fixture(scope="module")
def door(
    tmp_path_factory: pytest.TempPathFactory, towns: TownsOnSharedBrokers, request: pytest.FixtureRequest
) -> Generator[str]:
    """The address of a web door; a module may set SETTINGS for it."""
    if reason := missing():
        pytest.skip(reason)
    settings: dict[str, str] = getattr(request.module, "SETTINGS", {})
    with towns.start(tmp_path_factory.mktemp("town"), services=["ingest-web"], environment=settings) as stack:
        yield stack.url("ingest-web")


@pytest.fixture(scope="module")
def browser(door: str) -> Generator[Any]:
    """A browser. It starts after the door, because its event loop holds this thread."""
    from playwright.sync_api import sync_playwright

    with ExitStack() as open_now:
        playwright = open_now.enter_context(sync_playwright())
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=QUIET)
        open_now.callback(chromium.close)
        yield chromium


@pytest.fixture
def agent(browser: Any, door: str) -> Generator[Any]:
    """The desk as an agent of the roads department sees it after the login."""
    page = log_in(browser, door)
    yield page
    page.context.close()


@pytest.fixture(scope="module")
def violations(browser: Any) -> Look:
    """What axe-core finds on a page: rule, why, and where."""
    import axe_playwright_python

    axe = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")

    def look(page: Any) -> list[str]:
        page.evaluate(axe)
        return [
            f"{page.url}: {violation['id']}: {violation['help']}: {[node['html'][:160] for node in violation['nodes'][:3]]}"
            for violation in page.evaluate(_RUN, RULES)
        ]

    return look
