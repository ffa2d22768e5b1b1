"""Shows the department's queue: its views with their filters, page by page, and the agent's own saved views."""

from functools import partial
from urllib.parse import parse_qsl
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.datastructures import QueryParams

from parvis.desk.decide.access_rights import hidden_cases, may
from parvis.desk.decide.bulk_acts import BULK_KINDS
from parvis.desk.models.accounts import Action, CaseAccessFacts
from parvis.desk.models.queue import MAX_COUNT, VIEWS, QueueCursor, QueueFilter, SavedView
from parvis.desk.pages.dependencies import DeskDependencies, redirect, remember_list
from parvis.desk.render.queue_view import QueuePresenter, end_of_day, initials
from parvis.desk.render.view_models import decode_cursor, encode_cursor
from parvis.desk.store.absences import read_absences
from parvis.desk.store.queue_queries import QueueReader
from parvis.desk.store.same_place import count_same_place
from parvis.desk.store.saved_views import delete_view, read_saved_views, save_view
from parvis.desk.store.withdrawable_replies import read_reserved_replies
from parvis.desk.verify.agent_sessions import AgentSession
from parvis.web.language_negotiation import negotiate_language

_FIRST_PAGES: dict[str, Action] = {
    "/queue": "queue.read",
    "/counter": "contact.register",
    "/accounts": "account.read",
    "/audit": "audit.read",
}
_LONGEST_VALUE = 60


def routes(dependencies: DeskDependencies) -> APIRouter:
    """The queue of the agent's department, and the views that the agent saves."""
    router = APIRouter()

    @router.get("/", dependencies=[dependencies.access.allow("session.own")])
    async def begin(request: Request) -> Response:
        session = dependencies.require_session(request)
        allowed = partial(dependencies.access.may, session)
        return redirect(next((page for page, action in _FIRST_PAGES.items() if allowed(action)), "/me"))

    @router.get("/queue", dependencies=[dependencies.access.allow("queue.read")])
    async def show(request: Request) -> Response:
        return await _show(dependencies, request, dependencies.require_session(request))

    @router.post("/queue/views", dependencies=[dependencies.access.allow("queue.read")])
    async def save(request: Request) -> Response:
        session = dependencies.require_session(request)
        form = await dependencies.read_own_form(request, session)
        wanted = read_filter(QueryParams(form.first("query")))
        name = " ".join(form.first("name").split())[:_LONGEST_VALUE]
        async with dependencies.cases.database.transaction() as connection:
            if form.first("do") == "delete":
                await delete_view(connection, session.agent, name)
            elif name:
                await save_view(connection, session.agent, SavedView(name, wanted.url().partition("?")[2]))
        return redirect(wanted.url())

    _ = begin, show, save
    return router


def read_filter(parameters: QueryParams) -> QueueFilter:
    """The view and the filters that an address names; what is unknown is left out."""

    def value(name: str) -> str:
        return parameters.get(name, "").replace("\x00", "")[:_LONGEST_VALUE]

    view = value("show")
    try:
        place = str(UUID(value("place")))
    except ValueError:
        place = ""
    return QueueFilter(view if view in VIEWS else "open", value("tag"), value("channel"), value("procedure"), place)


def others_looking(dependencies: DeskDependencies, session: AgentSession, conversation: str) -> str:
    """The initials of the other agents who have a case open."""
    others = (name for name in dependencies.live_updates.viewers(conversation) if name != session.agent.name)
    return ", ".join(initials(name) for name in others)


def reader_of(dependencies: DeskDependencies, session: AgentSession) -> QueueReader:
    hidden = hidden_cases(session.user, dependencies.access.rules.confidential, session.agent.department)
    return QueueReader(session.agent, end_of_day(dependencies.pages.dates, dependencies.clock()), hidden)


def _events_url(wanted: QueueFilter, after: str | None, until: QueueCursor | None) -> str:
    """The address of the events of one page of the queue."""
    bounds = {"after": after or "", "until": encode_cursor(until) if until else ""}
    return wanted.url(**bounds).replace("/queue?", "/queue/events?", 1)


async def _show(dependencies: DeskDependencies, request: Request, session: AgentSession) -> Response:
    wanted = read_filter(request.query_params)
    after = decode_cursor(request.query_params.get("after"))
    reader = reader_of(dependencies, session)
    async with dependencies.cases.database.transaction() as connection:
        page = await reader.read(connection, wanted, after=after)
        shown = [row.case.conversation_id for row in page.rows]
        reports = await count_same_place(connection, shown, reader.hidden)
        numbers = await reader.count_views(connection)
        saved = await read_saved_views(connection, session.agent)
        own = await reader.count(connection, [read_filter(QueryParams(view.query)) for view in saved])
        absent = await read_absences(connection, session.own_department, dependencies.clock())
        reserved = await read_reserved_replies(connection, session.agent, dependencies.clock())
    looking = {
        row.case.conversation_id: others_looking(dependencies, session, row.case.conversation_id) for row in page.rows
    }
    language = negotiate_language(request, dependencies.town_config.town)
    view = QueuePresenter(dependencies.town_config, dependencies.pages.dates, language, dependencies.clock())
    answer = dependencies.render_page(
        request, "queue.html", session, groups=view.group(page.rows, wanted), looking=looking, damaged=page.damaged, numbers=numbers,
        most=MAX_COUNT, wanted=wanted, views=VIEWS, own_views=list(zip(saved, own, strict=True)),
        own_query=dict(parse_qsl(wanted.url().partition("?")[2])),
        absent=len(absent), reports=reports, bulk_acts=BULK_KINDS, may_act=may(session.user, "case.change", CaseAccessFacts(session.own_department)),
        after=encode_cursor(page.after) if page.after else None, is_first=after is None, reserved=reserved,
        events=_events_url(wanted, request.query_params.get("after") if after else None, page.after),
    )  # fmt: skip
    remember_list(request, answer)
    return answer
