"""Tests that the search, its counts and the saved queue views show nothing of a confidential case to who may not read it."""

from collections.abc import Awaitable, Callable

import httpx
import pytest

from parvis.common.contract.contact import ContactPersonalData, ContactPoint
from parvis.common.testing import a_contact

from .test_sessions_and_rights import CONTACT, log_in, routed

pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]
POINT = ContactPoint(kind="phone", value="+33639980042")
MEALS = a_contact(
    key="meals",
    procedure="school-meals",
    personal=ContactPersonalData.model_validate(
        {"from": POINT, "text": "La cantine", "display_name": "Andrée Exemple"}
    ),
)
SEARCHES = ("cantine", "Andrée", "06 39 98 00 42", MEALS.reference[2:6])


@pytest.mark.parametrize("typed", SEARCHES)
async def test_a_confidential_case_is_found_only_by_who_may_read_it(
    browser: httpx.AsyncClient, project: Project, typed: str
) -> None:
    await project(routed(MEALS))
    await log_in(browser, "Dominique Exemple")
    assert MEALS.reference in (await browser.get("/search", params={"q": typed})).text
    await log_in(browser, "Sacha Exemple", confidential="none")
    page = (await browser.get("/search", params={"q": typed})).text
    assert "Rien trouvé" in page
    assert "Andrée Exemple" not in page
    assert MEALS.reference not in page


async def test_no_view_lists_or_counts_a_confidential_case(browser: httpx.AsyncClient, project: Project) -> None:
    await project(routed(CONTACT))
    for confidential, rows in (("all", 1), ("none", 0)):
        await log_in(browser, "Sacha Exemple", confidential=confidential)
        page = (await browser.get("/queue?show=unassigned")).text
        assert page.count('class="subject"') == rows
        assert f'Sans responsable <span class="count">{rows}</span>' in page
