"""Serves the originals of a case: rendered previews, and files as downloads; only to the department that has the case."""

from collections.abc import Awaitable, Callable
from pathlib import PurePath
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from parvis.common.contract.contact import ClaimCheck, ContactReceived
from parvis.common.contract.errors import Rejected
from parvis.common.files.media_types import PICTURES
from parvis.common.files.previews.page_preview import DOWNLOAD_WIDTH, SCREEN_WIDTH
from parvis.desk.fetch.claim_checks import InfectedFile, MissingFile, UnscannedFile
from parvis.desk.pages.case_page import is_visible
from parvis.desk.pages.dependencies import DeskDependencies
from parvis.desk.render.view_models import attachment_name, original_file_name
from parvis.desk.store.case_updates import read_brief_contacts
from parvis.desk.store.single_case_queries import read_case

# A download is never rendered, and could do nothing if it were.
DOWNLOAD_HEADERS = {
    "content-security-policy": "default-src 'none'; sandbox",
    "x-content-type-options": "nosniff",
    "cache-control": "private, no-store",
}

_PROBLEMS: dict[type[Exception], tuple[str, int]] = {
    InfectedFile: ("infected", 403),
    UnscannedFile: ("not_scanned", 503),
    MissingFile: ("missing", 404),
}


def routes(dependencies: DeskDependencies) -> APIRouter:
    """Pictures and downloads.

    Gives: 404 for files outside the cases of the agent's department, for missing files, and for pictures that cannot be rendered; 403
           for an infected file; 503 while the verdict is pending. Each comes with a page that says so.
    """
    router = APIRouter()
    allowed = dependencies.access.allow("file.read")
    base = "/cases/{conversation}/contacts/{contact}"

    @router.get(base + "/pictures/{which}/{page}.jpg", dependencies=[allowed])
    async def picture(
        request: Request, conversation: UUID, contact: UUID, which: str, page: int, turn: int = 0
    ) -> Response:
        claim, _ = await _find_claim_check(dependencies, request, conversation, contact, which)
        jpeg = await _render_preview(dependencies, claim, page, SCREEN_WIDTH, turn)
        return Response(jpeg, media_type="image/jpeg", headers={"cache-control": "private, max-age=3600"})

    @router.get(base + "/files/{which}", dependencies=[allowed])
    async def download(request: Request, conversation: UUID, contact: UUID, which: str) -> Response:
        claim, name = await _find_claim_check(dependencies, request, conversation, contact, which)
        if which.isdigit() and claim.media_type in PICTURES:
            jpeg = await _render_preview(dependencies, claim, 1, DOWNLOAD_WIDTH)
            return _as_download(jpeg, f"{PurePath(name).stem}.jpg", "image/jpeg")
        return _as_download(await dependencies.claim_checks.fetch(claim), name, claim.media_type)

    @router.get(base + "/files/{which}/untouched", dependencies=[allowed])
    async def untouched(request: Request, conversation: UUID, contact: UUID, which: str) -> Response:
        claim, name = await _find_claim_check(dependencies, request, conversation, contact, which)
        return _as_download(await dependencies.claim_checks.fetch(claim), name, claim.media_type)

    _ = picture, download, untouched
    return router


def refusal_handler(dependencies: DeskDependencies) -> Callable[[Request, Exception], Awaitable[Response]]:
    """Answers with the page for a file that cannot be opened."""

    async def answer(request: Request, error: Exception) -> Response:
        problem, status = _PROBLEMS[type(error)]
        page = dependencies.render_page(
            request, "refused.html", dependencies.require_session(request), status=status, problem=problem
        )
        if status == 503:
            page.headers["retry-after"] = "10"
        return page

    return answer


async def _render_preview(
    dependencies: DeskDependencies, claim: ClaimCheck, page: int, width: int, turn: int = 0
) -> bytes:
    content = await dependencies.claim_checks.fetch(claim)
    try:
        return (
            await dependencies.page_previews.render_page(
                content, claim.sha256, claim.media_type, page, width=width, turn=turn
            )
        ).jpeg
    except Rejected as error:
        raise HTTPException(404) from error


def _as_download(content: bytes, name: str, media_type: str) -> Response:
    disposition = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
    return Response(content, media_type=media_type, headers=DOWNLOAD_HEADERS | {"content-disposition": disposition})


async def _find_claim_check(
    dependencies: DeskDependencies, request: Request, conversation: UUID, contact: UUID, which: str
) -> tuple[ClaimCheck, str]:
    """The claim check of a contact's original, whole text or attachment, and the name it is downloaded under."""
    session = dependencies.require_session(request)
    async with dependencies.cases.database.transaction() as connection:
        case = await read_case(connection, str(conversation))
        contacts = await read_brief_contacts(connection, str(conversation)) if is_visible(case, session) else ()
    opened = next((o.contact for o in contacts if o.contact.contact_id == str(contact)), None)
    if opened is None:
        raise HTTPException(404)
    return _select_claim_check(opened, which)


def _select_claim_check(contact: ContactReceived, which: str) -> tuple[ClaimCheck, str]:
    if which == "original":
        return contact.original, original_file_name(contact.reference, contact.original)
    if which == "text" and contact.text_overflow:
        return contact.text_overflow, f"{contact.reference}-texte.txt"
    if which.isascii() and which.isdigit() and len(which) < 4 and int(which) < len(contact.attachments):
        return contact.attachments[int(which)], attachment_name(contact, int(which))
    raise HTTPException(404)
