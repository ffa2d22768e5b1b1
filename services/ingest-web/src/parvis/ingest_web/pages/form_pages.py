"""Serves the list of procedures, their forms, and the receipt. Read-only."""

from dataclasses import dataclass

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse

from parvis.common.contract.references import find_references
from parvis.common.storage.postgres import Database
from parvis.common.town.models import TownConfig
from parvis.ingest_web.render.form_html import FormView, form_page, receipt_page
from parvis.ingest_web.store.submissions import find_submission
from parvis.ingest_web.verify.form_tokens import FormTokens
from parvis.web.language_negotiation import language_switch_url, negotiate_language, remember_language
from parvis.web.pages import PageRenderer
from parvis.web.security_headers import allow_scripts

# Not `no-store`: the back button must show the same page with its one-time token and the typed text.
_KEPT_BY_HISTORY = {"cache-control": "private, no-cache"}


@dataclass(frozen=True)
class FormPageDependencies:
    """The dependencies of the pages."""

    town_config: TownConfig
    pages: PageRenderer
    tokens: FormTokens
    database: Database
    most_mb: int


def routes(dependencies: FormPageDependencies) -> APIRouter:
    """The pages of citizens.

    Gives: 200, in the reader's language; 404 for a procedure or a reference that does not exist.
    """
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def home(request: Request) -> HTMLResponse:
        procedures = list(dependencies.town_config.procedures.values())
        return _page(
            dependencies, request, "home.html", procedures=procedures, departments=dependencies.town_config.departments
        )

    @router.get("/demarches/{slug}")
    async def form(request: Request, slug: str) -> HTMLResponse:
        return _form(dependencies, request, slug)

    @router.get("/merci/{reference}")
    async def receipt(request: Request, reference: str) -> HTMLResponse:
        return await _receipt(dependencies, request, reference)

    _ = home, form, receipt
    return router


def _page(dependencies: FormPageDependencies, request: Request, template: str, **values: object) -> HTMLResponse:
    language = negotiate_language(request, dependencies.pages.town)
    response = HTMLResponse(
        dependencies.pages.render(
            template, language, language_switch_url=language_switch_url(request, dependencies.pages), **values
        ),
        headers=_KEPT_BY_HISTORY,
    )
    remember_language(request, response, dependencies.pages.town)
    return response


def _form(dependencies: FormPageDependencies, request: Request, slug: str) -> HTMLResponse:
    procedure = dependencies.town_config.procedure(slug)
    if not procedure:
        raise HTTPException(404)
    now = dependencies.pages.clock()
    view = FormView(
        procedure=procedure,
        department=dependencies.town_config.departments[
            dependencies.town_config.current_department(procedure.department)
        ],
        language=negotiate_language(request, dependencies.pages.town),
        once=dependencies.tokens.make_one_time_token(slug, now),
        csrf=dependencies.tokens.make_csrf_token(slug, now),
        most_mb=dependencies.most_mb,
        language_switch_url=language_switch_url(request, dependencies.pages),
    )
    response = HTMLResponse(form_page(dependencies.pages, view), headers=allow_scripts(_KEPT_BY_HISTORY))
    remember_language(request, response, dependencies.pages.town)
    return response


async def _receipt(dependencies: FormPageDependencies, request: Request, reference: str) -> HTMLResponse:
    known = find_references(reference)
    if known != [reference]:
        raise HTTPException(404)
    async with dependencies.database.transaction() as connection:
        submission = await find_submission(connection, reference)
    procedure = dependencies.town_config.procedure(submission.procedure) if submission else None
    if not submission or not procedure:
        raise HTTPException(404)
    language = negotiate_language(request, dependencies.pages.town)
    html = receipt_page(
        dependencies.pages, dependencies.town_config, language=language, procedure=procedure, submission=submission,
        language_switch_url=language_switch_url(request, dependencies.pages),
    )  # fmt: skip
    return HTMLResponse(html)
