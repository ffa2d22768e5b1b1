"""Answers a request that the account may not make: where the case went, why it is closed to them, or that it is not there."""

from collections.abc import Awaitable, Callable

from fastapi import Request
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException

from parvis.desk.decide.access_rights import CASE_ACTIONS, working_departments
from parvis.desk.pages import reply_files
from parvis.desk.pages.access import NotAllowed
from parvis.desk.pages.case_page import moved_page
from parvis.desk.pages.dependencies import LARGEST_FORM_BYTES, DeskDependencies
from parvis.desk.store.audit_trail import append_audit
from parvis.desk.store.row_decoding import DamagedCase
from parvis.desk.store.single_case_queries import read_case, read_case_file
from parvis.desk.verify.agent_sessions import AgentSession
from parvis.web.error_pages import error_page
from parvis.web.form_parsing import SubmittedForm, read_form

_TEXT_FIELDS = ("text", "note", "internal", "reason")


def log_in_first_handler(dependencies: DeskDependencies) -> Callable[[Request, Exception], Awaitable[Response]]:
    """Leads to the login; who sent a text meanwhile gets it back first (403): it is neither sent nor kept."""

    async def answer(request: Request, _: Exception) -> Response:
        typed = await _typed_text(dependencies, request) if request.method == "POST" else ""
        if not typed:
            return RedirectResponse("/login", status_code=303)
        return dependencies.render_page(request, "session_ended.html", None, status=403, text=typed)

    return answer


async def _typed_text(dependencies: DeskDependencies, request: Request) -> str:
    """The longest text of a form from one of our own pages; empty if there is none, or it cannot be read."""
    if not dependencies.sessions.is_own_page(request):
        return ""
    try:
        form = await read_form(request, largest_bytes=LARGEST_FORM_BYTES)
    except HTTPException:
        return ""
    typed = max(map(form.first, _TEXT_FIELDS), key=len).strip()
    await form.close()
    return typed


def not_allowed_handler(dependencies: DeskDependencies) -> Callable[[Request, Exception], Awaitable[Response]]:
    """Answers with 403 and the reason, 410 for a case that left the agent's department, else 404; each try is recorded."""

    async def answer(request: Request, error: Exception) -> Response:
        session = dependencies.require_session(request)
        if not isinstance(error, NotAllowed):
            raise error
        if error.scope is not None:
            tried = dependencies.access.record(
                session, "refused", subject=error.scope.conversation_id, detail=error.action
            )
            async with dependencies.access.database.transaction() as connection:
                await append_audit(connection, tried)
        if error.action not in CASE_ACTIONS:
            return dependencies.render_page(request, "not_allowed.html", session, status=403, scope=None)
        if error.scope is None:
            return error_page(dependencies.pages, request, 404)
        if error.scope.department in working_departments(session.user, dependencies.town_config.departments):
            return dependencies.render_page(request, "not_allowed.html", session, status=403, scope=error.scope)
        return await _elsewhere(dependencies, request, session, error.scope.conversation_id)

    return answer


async def _elsewhere(
    dependencies: DeskDependencies, request: Request, session: AgentSession, conversation: str
) -> Response:
    """The page of a case that another department has: where it went, if this department had it, with what was typed and not sent."""
    if request.path_params.keys() - {"action"} != {"conversation"}:
        return error_page(dependencies.pages, request, 404)
    try:
        form = await dependencies.read_own_form(request, session) if request.method == "POST" else None
        async with dependencies.cases.database.transaction() as connection:
            case = await read_case(connection, conversation)
            file = await read_case_file(connection, case, is_brief=True) if case else None
        return moved_page(dependencies, request, session, file, unsent=form.first("text") if form else "")
    except DamagedCase:
        return error_page(dependencies.pages, request, 404)
    except HTTPException as error:
        return error_page(dependencies.pages, request, error.status_code)


def unsent_page(
    dependencies: DeskDependencies, request: Request, session: AgentSession, form: SubmittedForm
) -> Response:
    """The page for an outage: it has everything that was typed, and sends the same form again; one with files is only kept."""
    has_files = bool(form.files.get(reply_files.FIELD))  # a page cannot hold them
    sent = [(name, value) for name, values in form.fields.items() for value in values if name != "_csrf"]
    return dependencies.render_page(
        request,
        "unsent.html",
        session,
        status=503,
        sent=sent,
        again=f"{request.url.path.rpartition('/')[0]}/draft" if has_files else request.url.path,
        has_files=has_files,
        text=form.first("text") or form.first("note") or form.first("internal"),
    )
