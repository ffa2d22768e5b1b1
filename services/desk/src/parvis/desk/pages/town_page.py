"""Shows reception where the cases of the whole town stand: states and dates, no names and no texts."""

from datetime import date
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response

from parvis.desk.decide.access_rights import hidden_by_department, may, scope_of
from parvis.desk.models.case import STATES, State
from parvis.desk.models.town_list import TownCase, TownFilter
from parvis.desk.pages.dependencies import DeskDependencies
from parvis.desk.render.view_models import encode_cursor, search_cursor
from parvis.desk.store.town_list import read_town_page
from parvis.desk.verify.agent_sessions import AgentSession

_FIELDS = ("show", "of", "day")


def routes(dependencies: DeskDependencies) -> APIRouter:
    """The list, fifty cases a page, the latest first; a case that the agent may read is a link."""
    router = APIRouter()

    @router.get("/town", dependencies=[dependencies.access.allow("town.read")])
    async def show(request: Request) -> Response:
        session = dependencies.require_session(request)
        asked = {name: request.query_params.get(name, "").replace("\x00", "")[:60] for name in _FIELDS}
        wanted, after = _read_filter(dependencies, asked), search_cursor(request.query_params.get("after"))
        zone = dependencies.town_config.town.time_zone
        departments = dependencies.town_config.departments
        hidden = hidden_by_department(session.user, dependencies.access.rules.confidential, departments)
        async with dependencies.cases.database.transaction() as connection:
            page = await read_town_page(connection, wanted, hidden, after=after, zone=zone)
        chosen = {name: value for name, value in asked.items() if value}
        return dependencies.render_page(
            request, "town.html", session, cases=page.cases, wanted=wanted, states=STATES,
            readable={case.conversation_id for case in page.cases if _is_readable(dependencies, session, case)},
            first=urlencode(chosen), is_first=after is None,
            after=urlencode(chosen | {"after": encode_cursor(page.after)}) if page.after else "",
        )  # fmt: skip

    _ = show
    return router


def _read_filter(dependencies: DeskDependencies, asked: dict[str, str]) -> TownFilter:
    """What the address names; what is unknown is left out."""
    states: dict[str, State] = {state: state for state in STATES}
    state = states.get(asked["show"], "open")
    department = asked["of"] if asked["of"] in dependencies.town_config.departments else ""
    try:
        return TownFilter(state, department, date.fromisoformat(asked["day"]))
    except ValueError:
        return TownFilter(state, department)


def _is_readable(dependencies: DeskDependencies, session: AgentSession, case: TownCase) -> bool:
    rules = dependencies.access.rules.confidential
    scope = scope_of(rules, case.department, case.procedure, case.tags, case.conversation_id)
    return may(session.user, "case.read", scope)
