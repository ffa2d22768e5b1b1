"""The department's queue: which cases, in which order, page by page."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from parvis.common.contract.references import find_references
from parvis.desk.pages.dependencies import Place, go
from parvis.desk.render.view_models import read_key, write_key
from parvis.desk.store.case_queries import counts, find_reference, queue

LISTS = ("open", "mine", "waiting", "closed")


def routes(place: Place) -> APIRouter:
    """The queue, and the way to a case by its reference."""
    router = APIRouter()

    @router.get("/")
    async def begin(request: Request) -> Response:
        place.session(request)
        return go("/queue")

    @router.get("/queue")
    async def show(request: Request) -> Response:
        session = place.session(request)
        wanted = request.query_params.get("show", "open")
        wanted = wanted if wanted in LISTS else "open"
        after = read_key(request.query_params.get("after"))
        tag = request.query_params.get("tag", "")[:40].replace("\x00", "") or None
        async with place.cases.database.transaction() as connection:
            found = await queue(connection, session.agent, wanted, tag=tag, after=after)
            numbers = await counts(connection, session.agent)
        return place.show(
            request, "queue.html", session, rows=found.rows, numbers=numbers, show=wanted, lists=LISTS, tag=tag,
            after=write_key(found.after) if found.after else None, is_first=after is None,
        )  # fmt: skip

    @router.get("/find")
    async def find(request: Request) -> Response:
        session = place.session(request)
        references = find_references(request.query_params.get("reference", ""))
        async with place.cases.database.transaction() as connection:
            for reference in references:
                case = await find_reference(connection, session.agent.department, reference)
                if case:
                    return go(f"/cases/{case}")
        return go("/queue?told=unknown_reference")

    _ = begin, show, find
    return router
