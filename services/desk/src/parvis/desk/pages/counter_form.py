"""Someone is at the counter or on the phone: what they say is written down, and becomes a contact like any other."""

from collections.abc import Mapping
from uuid import UUID

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from parvis.common.contract.errors import Rejected, Unavailable
from parvis.desk.decide.counter_contact import Visit
from parvis.desk.models.case import CALLED
from parvis.desk.pages.case_page import may_see
from parvis.desk.pages.dependencies import Place, go
from parvis.desk.store.case_queries import case_of
from parvis.desk.verify.agent_sessions import Session
from parvis.web.http import SubmittedForm

_FIELDS = ("channel", "procedure", "subject", "text", "name", "phone", "email", "reference", "language")


def routes(place: Place) -> APIRouter:
    """The form and its receipt.

    Gives: 303 to the receipt once it is committed; 422 or 503 with the page and all that was typed.
    """
    router = APIRouter()

    @router.get("/counter")
    async def ask(request: Request) -> Response:
        session = place.session(request)
        conversation = request.query_params.get("conversation", "")
        typed = {"conversation": conversation, "reference": request.query_params.get("reference", "")}
        return _page(place, request, session, typed=typed)

    @router.post("/counter")
    async def take(request: Request) -> Response:
        session = place.session(request)
        form = await place.form(request, session)
        return await _take(place, request, session, form)

    @router.get("/counter/{reference}")
    async def kept(request: Request, reference: str) -> Response:
        session = place.session(request)
        return place.show(request, "written_down.html", session, reference=reference)

    _ = ask, take, kept
    return router


async def _take(place: Place, request: Request, session: Session, form: SubmittedForm) -> Response:
    seed = place.sessions.seed(form.first("_once"), session)
    if seed is None:
        raise HTTPException(403)
    channel = form.first("reply-channel")
    values = {name: form.first(name) for name in _FIELDS}
    visit = Visit(**values, reply_channel=channel, reply_address=form.first(f"reply-{channel}"))
    typed = {name: several[0] for name, several in form.fields.items()}
    try:
        conversation = await _conversation(place, session, form.first("conversation"))
        kept = await place.counter.write_down(
            visit, session.agent, seed=seed, at=place.clock(), conversation=conversation
        )
    except Rejected as error:
        return _page(place, request, session, status=422, typed=typed, wrong=str(error))
    except Unavailable:
        return _page(place, request, session, status=503, typed=typed, wrong="unavailable")
    return go(f"/counter/{kept.reference}")


async def _conversation(place: Place, session: Session, typed: str) -> str | None:
    """The case that the visit belongs to, when the form was opened from its page."""
    try:
        conversation = str(UUID(typed))
    except ValueError:
        return None
    async with place.cases.database.transaction() as connection:
        found = await case_of(connection, conversation)
    return conversation if may_see(found, session) else None


def _page(
    place: Place, request: Request, session: Session, *, typed: Mapping[str, str], status: int = 200, wrong: str = ""
) -> Response:
    mine = [p for p in place.town_config.procedures.values() if p.department == session.agent.department]
    others = [p for p in place.town_config.procedures.values() if p.department != session.agent.department]
    return place.show(
        request, "counter.html", session, status=status, typed=typed, wrong=wrong, procedures=mine + others,
        channels=CALLED,
    )  # fmt: skip
