"""Tests that every route of the pages and the API asks for a right, and that each role gets through exactly where it has that right."""

import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Mount

from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.routing.decisions import ContactRouted, Routing, make_conversation_id
from parvis.common.runtime.service import Service
from parvis.common.testing import AN_INSTANT, a_contact
from parvis.common.town.models import TownConfig
from parvis.desk.api.dependencies import ApiGuard
from parvis.desk.decide.access_rights import CASE_ACTIONS, form_action, may
from parvis.desk.models.accounts import CONFIDENTIALITIES, ROLES, Action, CaseScope, DeskUser, Role, RoleGrant
from parvis.desk.pages.access import RouteGuard

pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]
# What has no right to ask for: who comes here has not logged in yet, or asks for a style sheet.
PUBLIC = {("GET", "/login"), ("POST", "/login"), ("GET", "/static/{name}"), ("GET", "/openapi.json")}
FORMS = ("take", "release", "close", "reopen", "reply", "call", "transfer", "split", "link", "wish")
CASES = {
    ("voirie", "road-report"): CaseScope("voirie"),
    ("voirie", "school-meals"): CaseScope("voirie", frozenset({"minors"})),
    ("etat-civil", "birth-certificate"): CaseScope("etat-civil"),
    ("social-ccas", "social-appointment"): CaseScope("social-ccas", frozenset({"social"})),
}


def api_routes(app: Any) -> Iterator[APIRoute]:
    for route in app.routes:
        if isinstance(route, APIRoute):
            yield route
        elif isinstance(route, Mount) and isinstance(route.app, FastAPI):
            yield from api_routes(route.app)
        elif not isinstance(route, Mount) and hasattr(route, "original_router"):
            yield from api_routes(route.original_router)


def guards(route: APIRoute) -> list[RouteGuard | ApiGuard]:
    calls = [dependant.call for dependant in route.dependant.dependencies]
    return [call for call in calls if isinstance(call, RouteGuard | ApiGuard)]


async def test_no_route_lacks_a_check(service: Service) -> None:
    found = {(method, route.path): guards(route) for route in api_routes(service.app) for method in route.methods or ()}

    assert len(found) > 30
    assert {name for name, checks in found.items() if len(checks) != 1} <= PUBLIC


def routed(department: str, procedure: str) -> ContactRouted:
    contact: ContactReceived = a_contact(key=f"{department} {procedure}", procedure=procedure)
    return ContactRouted(
        routing=Routing(
            conversation_id=make_conversation_id(contact.contact_id, contact.received_at),
            sequence=1,
            department=department,
            reference=contact.reference,
            procedure=procedure,
            rule="x",
            rules_version="v",
            confidence=1,
            reason={"fr": "Parce que."},
            received_at=AN_INSTANT,
            answer_due_at=AN_INSTANT,
            decided_at=AN_INSTANT,
        ),
        contact=contact,
    )


async def log_in(browser: httpx.AsyncClient, role: Role, confidential: str) -> str:
    """Log in as this role in the roads department; gives the token of the session's forms."""
    browser.cookies.clear()
    token = re.search(r'name="_csrf" value="([^"]+)"', (await browser.get("/login")).text)
    assert token
    who = {"name": "Dominique Exemple", "department": "voirie", "role": role, "confidential": confidential}
    assert (await browser.post("/login", data=who | {"_csrf": token[1]})).status_code == 303
    found = re.search(r'name="_csrf" value="([^"]+)"', (await browser.get("/me")).text)
    assert found
    return found[1]


def is_refused(answer: httpx.Response, action: Action) -> bool:
    if answer.status_code == 403:
        return "Vous n’avez pas accès à cette page" in answer.text
    return action in CASE_ACTIONS and answer.status_code in (404, 410) and "Cette page n’existe pas" in answer.text


@pytest.mark.parametrize("confidential", ["all", "none"])
@pytest.mark.parametrize("role", ROLES)
async def test_each_role_gets_through_exactly_where_it_has_the_right(
    service: Service,
    browser: httpx.AsyncClient,
    project: Project,
    town_config: TownConfig,
    role: Role,
    confidential: str,
) -> None:
    events = {key: routed(*key) for key in CASES}
    await project(*events.values())
    token = await log_in(browser, role, confidential)
    kinds = frozenset(CONFIDENTIALITIES) if confidential == "all" else frozenset[str]()
    department = "*" if role in ("auditor", "administrator") else "voirie"
    user = DeskUser("", "", (RoleGrant(role, department, kinds),))
    wrong: list[str] = []

    async def try_page(method: str, path: str, action: Action, scope: CaseScope | None) -> None:
        answer = await browser.request(method, path, data={"_csrf": token} if method == "POST" else None)
        if is_refused(answer, action) == may(user, action, scope):
            wrong.append(f"{method} {path} {action} {scope}: {answer.status_code}")

    for route in api_routes(service.app):
        for guard in guards(route):
            if not isinstance(guard, RouteGuard) or route.path in ("/logout", "/me/sessions"):
                continue
            (method,) = route.methods or ("",)
            for key, scope in CASES.items() if "{conversation}" in route.path else [(("voirie", "road-report"), None)]:
                event = events[key]
                for form in FORMS if "{action}" in route.path else ("",):
                    path = (
                        route.path.replace("{conversation}", event.routing.conversation_id)
                        .replace("{contact}", event.contact.contact_id)
                        .replace("{which}", "original")
                        .replace("{page}", "1")
                        .replace("{action}", form)
                        .replace("{reference}", "P-0000")
                    )
                    action = guard.action or form_action(form)
                    about = scope if action in CASE_ACTIONS else None
                    if action in ("queue.read", "contact.register"):
                        about = CaseScope("voirie" if department == "voirie" else next(iter(town_config.departments)))
                    await try_page(method, re.sub(r"{\w+}", str(uuid4()), path), action, about)

    assert wrong == []
