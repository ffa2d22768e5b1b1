"""Handles the form by which an agent registers someone at the counter or on the phone."""

from collections.abc import Mapping
from uuid import UUID

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from parvis.common.contract.errors import Rejected, Unavailable
from parvis.desk.decide.counter_contact import CounterForm
from parvis.desk.models.case import IN_PERSON_CHANNELS
from parvis.desk.pages.case_page import is_visible
from parvis.desk.pages.dependencies import DeskDependencies, redirect
from parvis.desk.store.case_queries import read_case
from parvis.desk.store.row_decoding import DamagedCase
from parvis.desk.verify.agent_sessions import AgentSession
from parvis.web.form_parsing import SubmittedForm

_FIELDS = ("channel", "procedure", "subject", "text", "name", "phone", "email", "reference", "language")


def routes(place: DeskDependencies) -> APIRouter:
    """The form and its receipt.

    Gives: 303 to the receipt once it is committed; 422 or 503 with the page and all that was typed.
    """
    router = APIRouter()

    @router.get("/counter")
    async def ask(request: Request) -> Response:
        session = place.require_session(request)
        conversation = request.query_params.get("conversation", "")
        typed = {"conversation": conversation, "reference": request.query_params.get("reference", "")}
        return _page(place, request, session, typed=typed)

    @router.post("/counter")
    async def take(request: Request) -> Response:
        session = place.require_session(request)
        form = await place.read_own_form(request, session)
        return await _submit(place, request, session, form)

    @router.get("/counter/{reference}")
    async def kept(request: Request, reference: str) -> Response:
        session = place.require_session(request)
        return place.render_page(request, "written_down.html", session, reference=reference)

    _ = ask, take, kept
    return router


async def _submit(place: DeskDependencies, request: Request, session: AgentSession, form: SubmittedForm) -> Response:
    seed = place.sessions.read_one_time_token(form.first("_once"), session)
    if seed is None:
        raise HTTPException(403)
    channel = form.first("reply-channel")
    values = {name: form.first(name) for name in _FIELDS}
    visit = CounterForm(**values, reply_channel=channel, reply_address=form.first(f"reply-{channel}"))
    typed = {name: several[0] for name, several in form.fields.items()}
    try:
        conversation = await _conversation(place, session, form.first("conversation"))
        kept = await place.counter_contacts.register(
            visit, session.agent, seed=seed, at=place.clock(), conversation=conversation
        )
    except Rejected as error:
        return _page(place, request, session, status=422, typed=typed, wrong=str(error))
    except Unavailable:
        return _page(place, request, session, status=503, typed=typed, wrong="unavailable")
    return redirect(f"/counter/{kept.reference}")


async def _conversation(place: DeskDependencies, session: AgentSession, typed: str) -> str | None:
    """The case that the visit belongs to, when the form was opened from its page."""
    try:
        conversation = str(UUID(typed))
    except ValueError:
        return None
    async with place.cases.database.transaction() as connection:
        try:
            case = await read_case(connection, conversation)
        except DamagedCase as damaged:
            return conversation if damaged.department == session.agent.department else None
    return conversation if is_visible(case, session) else None


def _page(
    place: DeskDependencies,
    request: Request,
    session: AgentSession,
    *,
    typed: Mapping[str, str],
    status: int = 200,
    wrong: str = "",
) -> Response:
    mine = [p for p in place.town_config.procedures.values() if p.department == session.agent.department]
    others = [p for p in place.town_config.procedures.values() if p.department != session.agent.department]
    return place.render_page(
        request, "counter.html", session, status=status, typed=typed, wrong=wrong, procedures=mine + others,
        channels=IN_PERSON_CHANNELS,
    )  # fmt: skip
