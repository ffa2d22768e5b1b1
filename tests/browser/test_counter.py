"""Tests the counter in a real browser: keyboard alone, with and without the script, and the receipt on paper."""

import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import pypdfium2
import pytest

from parvis.local.stack import Stack
from parvis.local.towns_on_shared_brokers import TownsOnSharedBrokers
from tests.browser.conftest import RULES, log_in, missing
from tests.patience import PATIENCE_S

pytestmark = [pytest.mark.stack]
MOST_KEYS = 12  # beside the words
PERSON, NUMBER = "Honoré Exemple", "06 39 98 47 67"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, towns: TownsOnSharedBrokers) -> Generator[Stack]:
    """A desk with one open case, of a person who called."""
    if reason := missing():
        pytest.skip(reason)
    with towns.start(tmp_path_factory.mktemp("town"), services=["router", "desk"]) as stack:
        token = {"authorization": f"Bearer {stack.env['PARVIS_DESK_API_TOKEN']}"}
        api = f"{stack.url('desk')}/api/v1"
        visit = {
            "agent": "Camille", "department": "etat-civil", "text": "Un duplicata du livret de famille.", "name": PERSON,
            "phone": NUMBER, "subject": "Livret de famille",
        }  # fmt: skip
        httpx.post(f"{api}/contacts", json=visit, headers=token).raise_for_status()
        ends_at = time.monotonic() + PATIENCE_S
        while not httpx.get(f"{api}/cases", params={"department": "etat-civil"}, headers=token).json()["cases"]:
            assert time.monotonic() < ends_at
            time.sleep(0.1)
        yield stack


@pytest.fixture(scope="module")
def door(desk: Stack) -> str:
    return desk.url("desk")


@pytest.fixture(params=[True, False], ids=["script", "no script"])
def agent(request: pytest.FixtureRequest, browser: Any, door: str) -> Generator[Any]:
    """The counter page of an agent who has logged in, in a browser with and without scripts."""
    page = log_in(browser, door, scripts=request.param, department="etat-civil")
    page.goto(f"{door}/counter")
    yield page
    page.context.close()


def press(page: Any, *keys: str) -> int:
    for key in keys:
        page.keyboard.press(key)
    return len(keys)


def has_script(page: Any) -> bool:
    return page.locator(".keys").is_visible()


def test_a_visit_joins_a_case_by_keyboard_alone(agent: Any):
    with_script = has_script(agent)
    agent.keyboard.type("honoré")
    if with_script:
        agent.wait_for_selector(".people a")
        keys = press(agent, "Enter")
    else:
        keys = press(agent, "Enter")
        agent.wait_for_selector(".people a")
        keys += press(agent, "Enter")
    agent.wait_for_url("**conversation=*")
    assert agent.input_value("#f-phone") == NUMBER
    agent.keyboard.type("Il apporte une photo.")
    keys += press(agent, "Tab", "ArrowDown")  # by telephone, at the number that is known
    keys += press(agent, "Control+Enter") if with_script else press(agent, "Tab", "Tab", "Tab", "Tab", "Enter")

    agent.wait_for_url("**/counter/P-*")
    assert keys <= MOST_KEYS
    assert "Il apporte une photo." in agent.inner_text(".slip")
    if with_script:
        assert agent.evaluate("document.activeElement.id") == "print"


def test_who_is_not_known_is_written_down_by_keyboard_alone(agent: Any):
    with_script = has_script(agent)
    agent.keyboard.type("06 39 98 55 55" if with_script else "06 39 98 66 66")  # each is unknown only once
    keys = press(agent, "Enter")
    agent.wait_for_url("**q=06*")
    agent.keyboard.type("Zoé Inconnue")
    keys += press(agent, "Tab", "Tab", "Tab")  # the number is there; at the counter
    agent.keyboard.type("Elle demande les horaires.")
    keys += press(agent, "Tab", "Space")  # by SMS
    keys += press(agent, "Control+Enter") if with_script else press(agent, "Tab", "Tab", "Tab", "Tab", "Tab", "Enter")

    agent.wait_for_url("**/counter/P-*")
    assert keys <= MOST_KEYS
    assert "Par SMS" in agent.inner_text(".slip")


@pytest.mark.parametrize("agent", [True], indirect=True)
@pytest.mark.parametrize("width", [1280, 320])
def test_every_state_is_accessible_and_nothing_scrolls_sideways(agent: Any, desk: Stack, width: int):

    import axe_playwright_python

    axe = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    agent.set_viewport_size({"width": width, "height": 800})
    for query in ("", "?q=exemple", "?q=personne", "?tel=%2B33639984767", "?q=exemple&new=yes"):
        agent.goto(f"{desk.url('desk')}/counter{query}")
        agent.evaluate(axe)
        run = "async (tags) => (await axe.run(document, {runOnly: {type: 'tag', values: tags}})).violations"
        assert agent.evaluate(run, RULES) == []
        assert agent.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("agent", [True], indirect=True)
@pytest.mark.parametrize(("paper", "size_mm"), [("a5", (148, 210)), ("roll", (80, 200))])
def test_the_receipt_is_printed_on_one_sheet(agent: Any, desk: Stack, paper: str, size_mm: tuple[int, int]):
    agent.fill("#f-text", "Elle demande les horaires.")
    agent.check("#f-reply-channel-none")
    agent.keyboard.press("Control+Enter")
    agent.wait_for_url("**/counter/P-*")
    agent.goto(f"{agent.url}?paper={paper}")

    sheets = pypdfium2.PdfDocument(agent.pdf(prefer_css_page_size=True))

    assert len(sheets) == 1
    assert tuple(round(side / 72 * 25.4) for side in sheets[0].get_size()) == size_mm
    printed = sheets[0].get_textpage().get_text_bounded()
    assert "État civil" in printed
    assert "Dominique" not in printed
    assert "Imprimer" not in printed
