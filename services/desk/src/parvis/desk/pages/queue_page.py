"""Shows the department's queue, page by page, and finds a case by its reference."""

from functools import partial

from fastapi import APIRouter, Request
from fastapi.responses import Response

from parvis.common.contract.references import find_references
from parvis.desk.decide.access_rights import hidden_cases
from parvis.desk.models.accounts import Action
from parvis.desk.pages.dependencies import DeskDependencies, redirect, remember_list
from parvis.desk.render.view_models import decode_cursor, encode_cursor
from parvis.desk.store.case_queries import count_cases, find_reference, read_queue
from parvis.desk.store.reserved_replies import read_reserved_replies

_FIRST_PAGES: dict[str, Action] = {
    "/queue": "queue.read",
    "/counter": "contact.register",
    "/accounts": "account.read",
    "/audit": "audit.read",
}
LISTS = ("open", "mine", "snoozed", "waiting", "closed")


def routes(dependencies: DeskDependencies) -> APIRouter:
    """The queue, and the search by reference."""
    router = APIRouter()

    @router.get("/", dependencies=[dependencies.access.allow("session.own")])
    async def begin(request: Request) -> Response:
        session = dependencies.require_session(request)
        may = partial(dependencies.access.may, session)
        return redirect(next((page for page, action in _FIRST_PAGES.items() if may(action)), "/me"))

    @router.get("/queue", dependencies=[dependencies.access.allow("queue.read")])
    async def show(request: Request) -> Response:
        session = dependencies.require_session(request)
        wanted = request.query_params.get("show", "open")
        wanted = wanted if wanted in LISTS else "open"
        after = decode_cursor(request.query_params.get("after"))
        tag = request.query_params.get("tag", "")[:40].replace("\x00", "") or None
        hidden = hidden_cases(session.user, dependencies.access.rules.confidential, session.agent.department)
        async with dependencies.cases.database.transaction() as connection:
            page = await read_queue(connection, session.agent, wanted, tag=tag, after=after, hidden=hidden)
            numbers = await count_cases(connection, session.agent, hidden)
            reserved = await read_reserved_replies(connection, session.agent, dependencies.clock())
        answer = dependencies.render_page(
            request, "queue.html", session, rows=page.rows, damaged=page.damaged, numbers=numbers, show=wanted, lists=LISTS, tag=tag,
            after=encode_cursor(page.after) if page.after else None, is_first=after is None, reserved=reserved,
        )  # fmt: skip
        remember_list(request, answer)
        return answer

    @router.get("/find", dependencies=[dependencies.access.allow("queue.read")])
    async def find(request: Request) -> Response:
        session = dependencies.require_session(request)
        references = find_references(request.query_params.get("reference", ""))
        async with dependencies.cases.database.transaction() as connection:
            for reference in references:
                case = await find_reference(connection, session.agent.department, reference)
                if case:
                    return redirect(f"/cases/{case}")
        return redirect("/queue?notice=unknown_reference")

    _ = begin, show, find
    return router
