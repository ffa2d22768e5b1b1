"""Handles the development login: a name and a department become a signed cookie."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from parvis.desk.models.case import Agent
from parvis.desk.pages.dependencies import DeskDependencies, redirect
from parvis.desk.verify.agent_sessions import COOKIE_NAME


def routes(dependencies: DeskDependencies) -> APIRouter:
    """Log in, log out."""
    router = APIRouter()

    @router.get("/login")
    async def show_form(request: Request) -> Response:
        return _page(dependencies, request)

    @router.post("/login")
    async def log_in(request: Request) -> Response:
        form = await dependencies.read_own_form(request, None)
        name, department = " ".join(form.first("name").split()), form.first("department")
        if not 1 <= len(name) <= 80 or department not in dependencies.town_config.departments:
            return _page(dependencies, request, status=422, name=name, chosen=department)
        response = redirect("/queue")
        cookie = dependencies.sessions.issue_cookie(Agent(name, department), dependencies.clock())
        age_s = int(dependencies.sessions.lifetime.total_seconds())
        response.set_cookie(COOKIE_NAME, cookie, max_age=age_s, httponly=True, samesite="lax", path="/")
        return response

    @router.post("/logout")
    async def log_out(request: Request) -> Response:
        await dependencies.read_own_form(request, dependencies.require_session(request))
        response = redirect("/login?notice=logged_out")
        response.delete_cookie(COOKIE_NAME, path="/")
        return response

    _ = show_form, log_in, log_out
    return router


def _page(
    dependencies: DeskDependencies, request: Request, *, status: int = 200, name: str = "", chosen: str = ""
) -> Response:
    departments = [d for d in dependencies.town_config.departments.values() if not d.successor]
    return dependencies.render_page(
        request, "login.html", None, status=status, departments=departments, name=name, chosen=chosen,
        wrong=status != 200,
    )  # fmt: skip
