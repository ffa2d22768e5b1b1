"""Sends server-sent events to open pages: which cases stand on a page of the queue now, and who looks at a case."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from parvis.common.contract.errors import Unavailable
from parvis.desk.models.queue import QueueCursor, QueueFilter
from parvis.desk.pages.dependencies import DeskDependencies
from parvis.desk.pages.queue_page import others_looking, read_filter, reader_of
from parvis.desk.render.view_models import decode_cursor
from parvis.desk.store.live_updates import VIEWER_BEAT_S, notify_viewer
from parvis.desk.verify.agent_sessions import AgentSession

_GATHER_S = 0.3  # what changes together is sent together
_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


def routes(dependencies: DeskDependencies) -> APIRouter:
    """The event streams; without a script nobody asks for them."""
    router = APIRouter()

    @router.get("/queue/events", dependencies=[dependencies.access.allow("queue.read", is_recorded=False)])
    async def queue_events(request: Request) -> Response:
        session = dependencies.require_session(request)
        after = decode_cursor(request.query_params.get("after"))
        until = decode_cursor(request.query_params.get("until"))
        wanted = read_filter(request.query_params)
        return _stream(_queue_events(dependencies, request, session, wanted, (after, until)))

    @router.get(
        "/cases/{conversation}/events", dependencies=[dependencies.access.allow("case.read", is_recorded=False)]
    )
    async def case_events(request: Request, conversation: UUID) -> Response:
        session = dependencies.require_session(request)
        return _stream(_case_events(dependencies, request, session, str(conversation)))

    _ = queue_events, case_events
    return router


def _stream(events: AsyncGenerator[str]) -> Response:
    return StreamingResponse(events, media_type="text/event-stream", headers=_HEADERS)


async def _queue_events(
    dependencies: DeskDependencies,
    request: Request,
    session: AgentSession,
    wanted: QueueFilter,
    page: tuple[QueueCursor | None, QueueCursor | None],
) -> AsyncGenerator[str]:
    """The cases on a page of the queue, by the page's own predicate: at once, then whenever that may have changed."""
    live, sent, checked_s = dependencies.live_updates, "", float("-inf")
    with live.subscribe(session.agent.department) as woken:
        while not live.is_closed:
            woken.clear()
            try:
                if time.monotonic() - checked_s >= VIEWER_BEAT_S:
                    checked_s = time.monotonic()
                    async with dependencies.cases.database.transaction() as connection:
                        if not await dependencies.access.may_still(connection, request, session, "queue.read"):
                            return
                rows = await live.queue_pages.read(reader_of(dependencies, session), wanted, *page)
            except Unavailable:
                return  # the browser asks again
            message = json.dumps({"rows": {row: others_looking(dependencies, session, row) for row in rows}})
            yield f"data: {message}\n\n" if message != sent else ": \n\n"
            sent = message
            await _wait(woken)
            await asyncio.sleep(_GATHER_S)


async def _case_events(
    dependencies: DeskDependencies, request: Request, session: AgentSession, conversation: str
) -> AsyncGenerator[str]:
    """Who else has the case open; the stream itself announces its own agent. It ends when the case leaves the department."""
    live, name = dependencies.live_updates, session.agent.name
    with live.subscribe(conversation) as woken:
        while not live.is_closed:
            woken.clear()
            try:
                async with dependencies.cases.database.transaction() as connection:
                    if not await dependencies.access.may_still(connection, request, session, "case.read"):
                        return
                    await notify_viewer(connection, conversation, session.agent)
            except Unavailable:
                return
            others = [viewer for viewer in live.viewers(conversation) if viewer != name]
            yield f"data: {json.dumps({'others': others})}\n\n"
            await _wait(woken)


async def _wait(woken: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(VIEWER_BEAT_S):
            await woken.wait()
    except TimeoutError:
        return
