"""Shows how one can log in, handles the development login, and ends sessions."""

import uuid

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from parvis.desk.models.accounts import CONFIDENTIALITIES, EVERY_DEPARTMENT, ROLE_BY_NAME, ROLES, AuditRecord, RoleGrant
from parvis.desk.pages.dependencies import DeskDependencies, redirect
from parvis.desk.store.accounts import add_account, add_grant
from parvis.desk.store.audit_trail import append_audit
from parvis.desk.store.sessions import choose_department, end_session
from parvis.desk.verify.agent_sessions import AgentSession
from parvis.web.security_headers import allow_scripts


def routes(dependencies: DeskDependencies) -> APIRouter:
    """Log in, log out, choose a department."""
    router = APIRouter()
    own = dependencies.access.allow("session.own")

    @router.get("/login")
    async def show_form(request: Request) -> Response:
        return login_page(dependencies, request)

    if "development" in dependencies.logins:

        @router.post("/login")
        async def log_in(request: Request) -> Response:
            return await _log_in_for_development(dependencies, request)

        _ = log_in

    @router.post("/logout", dependencies=[own])
    async def log_out(request: Request) -> Response:
        session = dependencies.require_session(request)
        await dependencies.read_own_form(request, session)
        return await _end(dependencies, session)

    @router.post("/department", dependencies=[own])
    async def choose(request: Request) -> Response:
        session = dependencies.require_session(request)
        form = await dependencies.read_own_form(request, session)
        async with dependencies.access.database.transaction() as connection:
            await choose_department(connection, session.session_id, form.first("department"))
        return redirect("/")

    _ = show_form, log_out, choose
    return router


async def _end(dependencies: DeskDependencies, session: AgentSession) -> Response:
    access = dependencies.access
    async with access.database.transaction() as connection:
        await end_session(connection, session.session_id, at=dependencies.clock())
        await append_audit(connection, access.record(session, "session.end"))
    response = redirect("/login?notice=logged_out")
    leaving = dependencies.provider.logout_url(session.id_token) if dependencies.provider and session.id_token else None
    if leaving:
        # Not a redirect: browsers hold one that follows a form to form-action, which lets a form go to us only.
        response = HTMLResponse(headers={"refresh": f"0; url={leaving}"})
    dependencies.sessions.delete_cookie(response)
    return response


async def logged_in(
    dependencies: DeskDependencies,
    account_id: str,
    name: str,
    *,
    how: str,
    department: str = "",
    id_token: str | None = None,
) -> Response:
    """Begin a session in a transaction of its own, record it, and go to the first page."""
    access = dependencies.access
    async with access.database.transaction() as connection:
        token = await access.begin_session(connection, account_id, department=department, id_token=id_token)
        await append_audit(
            connection, AuditRecord(dependencies.clock(), account_id, name, "session.begin", department, detail=how)
        )
    response = redirect("/")
    dependencies.sessions.set_cookie(response, token)
    return response


async def _log_in_for_development(dependencies: DeskDependencies, request: Request) -> Response:
    """Whoever reaches the desk becomes whom they choose; therefore on loopback only.

    Gives: an account of its own for each choice of name, department and role, so that one choice never changes another's rights.
    """
    form = await dependencies.read_own_form(request, None)
    name, department = " ".join(form.first("name").split()), form.first("department")
    role = ROLE_BY_NAME.get(form.first("role") or "agent")
    if not 1 <= len(name) <= 80 or department not in dependencies.town_config.departments or role is None:
        return login_page(dependencies, request, status=422, name=name, chosen=department)
    is_cleared = form.first("confidential") != "none"
    account_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"parvis-desk:{name}:{department}:{role}:{is_cleared}"))
    at, whole_town = dependencies.clock(), role in ("auditor", "administrator")
    grant = RoleGrant(
        role,
        EVERY_DEPARTMENT if whole_town else department,
        frozenset(CONFIDENTIALITIES) if is_cleared else frozenset(),
        str(uuid.uuid5(uuid.UUID(account_id), "grant")),
        "development",
    )
    async with dependencies.access.database.transaction() as connection:
        await add_account(connection, account_id, name, "development", mail=None, at=at, by="development login")
        await add_grant(connection, account_id, grant, at=at, by="development login")
    return await logged_in(dependencies, account_id, name, how="development", department=department)


def login_page(
    dependencies: DeskDependencies,
    request: Request,
    *,
    status: int = 200,
    name: str = "",
    chosen: str = "",
    problem: str = "",
) -> Response:
    """The page with every login that the settings allow. `problem` is the key of what went wrong."""
    departments = [d for d in dependencies.town_config.departments.values() if not d.successor]
    page = dependencies.render_page(
        request, "login.html", None, status=status, departments=departments, name=name, chosen=chosen, roles=ROLES,
        logins=dependencies.logins, problem=problem or ("wrong" if status == 422 else ""),
    )  # fmt: skip
    if "local" in dependencies.logins:
        page.headers.update(allow_scripts({}))
    return page
