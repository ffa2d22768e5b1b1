"""Shows and prints the receipt of a visit or a call: on A5, or on the 80 mm roll of a receipt printer."""

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from parvis.common.contract.contact import TRIAGE
from parvis.desk.decide.access_rights import may
from parvis.desk.models.case import NO_DATE
from parvis.desk.pages.dependencies import DeskDependencies
from parvis.desk.render.receipt_qr import draw_receipt_code
from parvis.desk.store.single_case_queries import find_reference, read_linked_case, read_receipt
from parvis.web.security_headers import allow_scripts

PAPERS = ("a5", "roll")
_PAPER_COOKIE = "parvis-desk-paper"
_YEAR_S = 365 * 86400


def routes(dependencies: DeskDependencies) -> APIRouter:
    """The receipt, for whoever wrote it down and those who may read the case. `paper` chooses what it is printed on, from then on for this browser."""
    router = APIRouter()

    @router.get("/counter/{reference}", dependencies=[dependencies.access.allow("contact.register")])
    async def show_receipt(request: Request, reference: str) -> Response:
        session = dependencies.require_session(request)
        if "\0" in reference:  # PostgreSQL's text has none
            raise HTTPException(404)
        async with dependencies.cases.database.transaction() as connection:
            receipt = await read_receipt(connection, session.agent.department, reference)
            if receipt is None:
                raise HTTPException(404)
            known = await find_reference(connection, receipt.to_department or receipt.department, reference)
            scope = await dependencies.access.scope_of_case(connection, known) if known else None
            may_read = scope is not None and may(session.user, "case.read", scope)
            if receipt.agent != session.agent.name and not may_read:
                raise HTTPException(404)
            case = await read_linked_case(connection, known) if known else None
        department = case.department if case else receipt.to_department
        shown = dependencies.town_config.departments.get(department or "")
        asked = (request.query_params.get("paper"), request.cookies.get(_PAPER_COOKIE))
        paper = next((name for name in asked if name in PAPERS), PAPERS[0])
        page = dependencies.render_page(
            request, "written_down.html", session, receipt=receipt, department=shown if department != TRIAGE else None,
            due_at=case.answer_due_at if case else NO_DATE, no_date=NO_DATE, papers=PAPERS, paper=paper,
            noted=await dependencies.counter_contacts.read_form(receipt),
            code=draw_receipt_code(dependencies.public_url, receipt.case_reference or receipt.reference),
        )  # fmt: skip
        page.set_cookie(_PAPER_COOKIE, paper, max_age=_YEAR_S, httponly=True, samesite="lax", path="/counter")
        page.headers.update(allow_scripts({}))
        return page

    _ = show_receipt
    return router
