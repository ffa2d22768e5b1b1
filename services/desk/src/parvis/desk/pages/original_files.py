"""The originals of a case: pictures made fresh, files as downloads; only for the department that has the case."""

from collections.abc import Awaitable, Callable
from pathlib import PurePath
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from parvis.common.contract.contact import ClaimCheck, ContactReceived
from parvis.common.contract.errors import Poison, Rejected
from parvis.common.files.media_types import PICTURES
from parvis.desk.fetch.claim_checks import Infected
from parvis.desk.pages.case_page import may_see
from parvis.desk.pages.dependencies import Place
from parvis.desk.render.view_models import file_name, name_of
from parvis.desk.sandbox.page_preview import DOWNLOADED, SHOWN
from parvis.desk.store.case_queries import case_of
from parvis.desk.store.case_updates import contacts_of

# A download is never rendered, and could do nothing if it were.
_HEADERS = {
    "content-security-policy": "default-src 'none'; sandbox",
    "x-content-type-options": "nosniff",
    "cache-control": "private, no-store",
}


def routes(place: Place) -> APIRouter:
    """Pictures and downloads.

    Gives: 404 for what is not in a case of the agent's department, and for a picture that cannot be made; 403 for a file that the scanner
           found infected, 503 while it has not seen it yet: both with a page that says so.
    """
    router = APIRouter()
    base = "/cases/{conversation}/contacts/{contact}"

    @router.get(base + "/pictures/{which}/{page}.jpg")
    async def picture(request: Request, conversation: UUID, contact: UUID, which: str, page: int) -> Response:
        claim, _ = await _find(place, request, conversation, contact, which)
        made = await _drawn(place, claim, page, SHOWN)
        return Response(made, media_type="image/jpeg", headers={"cache-control": "private, max-age=3600"})

    @router.get(base + "/files/{which}")
    async def download(request: Request, conversation: UUID, contact: UUID, which: str) -> Response:
        claim, name = await _find(place, request, conversation, contact, which)
        if which.isdigit() and claim.media_type in PICTURES:
            jpeg = await _drawn(place, claim, 1, DOWNLOADED)
            return _as_download(jpeg, f"{PurePath(name).stem}.jpg", "image/jpeg")
        return _as_download(await _opened(place, claim), name, claim.media_type)

    @router.get(base + "/files/{which}/untouched")
    async def untouched(request: Request, conversation: UUID, contact: UUID, which: str) -> Response:
        claim, name = await _find(place, request, conversation, contact, which)
        return _as_download(await _opened(place, claim), name, claim.media_type)

    _ = picture, download, untouched
    return router


def refused(place: Place) -> Callable[[Request, Exception], Awaitable[Response]]:
    """The page for a file that is not opened."""

    async def answer(request: Request, error: Exception) -> Response:
        is_infected = isinstance(error, Infected)
        shown = place.show(
            request, "refused.html", place.session(request), status=403 if is_infected else 503, is_infected=is_infected
        )
        if not is_infected:
            shown.headers["retry-after"] = "10"
        return shown

    return answer


async def _opened(place: Place, claim: ClaimCheck) -> bytes:
    try:
        return await place.originals.open(claim)
    except Poison as error:
        raise HTTPException(404) from error


async def _drawn(place: Place, claim: ClaimCheck, page: int, width: int) -> bytes:
    content = await _opened(place, claim)
    try:
        return (await place.pictures.page(content, claim.sha256, claim.media_type, page, width=width)).jpeg
    except Rejected as error:
        raise HTTPException(404) from error


def _as_download(content: bytes, name: str, media_type: str) -> Response:
    disposition = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
    return Response(content, media_type=media_type, headers=_HEADERS | {"content-disposition": disposition})


async def _find(
    place: Place, request: Request, conversation: UUID, contact: UUID, which: str
) -> tuple[ClaimCheck, str]:
    """The claim check of a contact's original, whole text or attachment, and the name it is downloaded under."""
    session = place.session(request)
    async with place.cases.database.transaction() as connection:
        case = await case_of(connection, str(conversation))
        opened = await contacts_of(connection, str(conversation)) if may_see(case, session) else ()
    found = next((o.contact for o in opened if o.contact.contact_id == str(contact)), None)
    if found is None:
        raise HTTPException(404)
    return _claim(found, which)


def _claim(contact: ContactReceived, which: str) -> tuple[ClaimCheck, str]:
    if which == "original":
        return contact.original, file_name(contact.reference, contact.original)
    if which == "text" and contact.text_overflow:
        return contact.text_overflow, f"{contact.reference}-texte.txt"
    if which.isascii() and which.isdigit() and len(which) < 4 and int(which) < len(contact.attachments):
        return contact.attachments[int(which)], name_of(contact, int(which))
    raise HTTPException(404)
