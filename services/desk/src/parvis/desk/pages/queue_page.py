"""Shows the department's queue, page by page, by view."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from parvis.desk.pages.dependencies import DeskDependencies, redirect
from parvis.desk.render.view_models import decode_cursor, encode_cursor
from parvis.desk.store.case_queries import count_cases, read_queue

LISTS = ("open", "mine", "waiting", "closed")


def routes(dependencies: DeskDependencies) -> APIRouter:
    """The queue of the agent's department."""
    router = APIRouter()

    @router.get("/")
    async def begin(request: Request) -> Response:
        dependencies.require_session(request)
        return redirect("/queue")

    @router.get("/queue")
    async def show(request: Request) -> Response:
        session = dependencies.require_session(request)
        wanted = request.query_params.get("show", "open")
        wanted = wanted if wanted in LISTS else "open"
        after = decode_cursor(request.query_params.get("after"))
        tag = request.query_params.get("tag", "")[:40].replace("\x00", "") or None
        async with dependencies.cases.database.transaction() as connection:
            page = await read_queue(connection, session.agent, wanted, tag=tag, after=after)
            numbers = await count_cases(connection, session.agent)
        return dependencies.render_page(
            request, "queue.html", session, rows=page.rows, damaged=page.damaged, numbers=numbers, show=wanted, lists=LISTS, tag=tag,
            after=encode_cursor(page.after) if page.after else None, is_first=after is None,
        )  # fmt: skip

    _ = begin, show
    return router
