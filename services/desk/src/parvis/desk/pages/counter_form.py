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


def routes(dependencies: DeskDependencies) -> APIRouter:
    """The form and its receipt.

    Gives: 303 to the receipt once the contact is committed; 422 or 503 with the page and everything that was typed.
    """
    router = APIRouter()

    @router.get("/counter")
    async def show_form(request: Request) -> Response:
        session = dependencies.require_session(request)
        conversation = request.query_params.get("conversation", "")
        typed = {"conversation": conversation, "reference": request.query_params.get("reference", "")}
        return _page(dependencies, request, session, typed=typed)

    @router.post("/counter")
    async def register(request: Request) -> Response:
        session = dependencies.require_session(request)
        form = await dependencies.read_own_form(request, session)
        return await _submit(dependencies, request, session, form)

    @router.get("/counter/{reference}")
    async def show_receipt(request: Request, reference: str) -> Response:
        session = dependencies.require_session(request)
        return dependencies.render_page(request, "written_down.html", session, reference=reference)

    _ = show_form, register, show_receipt
    return router


async def _submit(
    dependencies: DeskDependencies, request: Request, session: AgentSession, form: SubmittedForm
) -> Response:
    seed = dependencies.sessions.read_one_time_token(form.first("_once"), session)
    if seed is None:
        raise HTTPException(403)
    channel = form.first("reply-channel")
    fields = {name: form.first(name) for name in _FIELDS}
    counter_form = CounterForm(**fields, reply_channel=channel, reply_address=form.first(f"reply-{channel}"))
    typed = {name: values[0] for name, values in form.fields.items()}
    try:
        conversation = await _conversation(dependencies, session, form.first("conversation"))
        registered = await dependencies.counter_contacts.register(
            counter_form, session.agent, seed=seed, at=dependencies.clock(), conversation=conversation
        )
    except Rejected as error:
        if str(error) == "sent_before":  # the next attempt is another visit
            del typed["_once"]
        return _page(dependencies, request, session, status=422, typed=typed, wrong=str(error))
    except Unavailable:
        return _page(dependencies, request, session, status=503, typed=typed, wrong="unavailable")
    return redirect(f"/counter/{registered.reference}")


async def _conversation(dependencies: DeskDependencies, session: AgentSession, typed: str) -> str | None:
    """The conversation of the visit, if the form was opened from the page of one of the department's cases."""
    try:
        conversation = str(UUID(typed))
    except ValueError:
        return None
    async with dependencies.cases.database.transaction() as connection:
        try:
            case = await read_case(connection, conversation)
        except DamagedCase as damaged:
            return conversation if damaged.department == session.agent.department else None
    return conversation if is_visible(case, session) else None


def _page(
    dependencies: DeskDependencies,
    request: Request,
    session: AgentSession,
    *,
    typed: Mapping[str, str],
    status: int = 200,
    wrong: str = "",
) -> Response:
    own = [p for p in dependencies.town_config.procedures.values() if p.department == session.agent.department]
    others = [p for p in dependencies.town_config.procedures.values() if p.department != session.agent.department]
    return dependencies.render_page(
        request, "counter.html", session, status=status, typed=typed, wrong=wrong, procedures=own + others,
        channels=IN_PERSON_CHANNELS,
    )  # fmt: skip
