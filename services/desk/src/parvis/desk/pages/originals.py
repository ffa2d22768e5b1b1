"""The originals of a case: pictures made fresh, files as downloads; only for the department that has the case."""

from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from parvis.common.contact import ClaimCheck, ContactReceived
from parvis.common.errors import Poison, Rejected
from parvis.desk.pages.case import may_see
from parvis.desk.pages.place import Place
from parvis.desk.render import file_name
from parvis.desk.store import case_of, contacts_of

# A download is never rendered, and could do nothing if it were.
_HEADERS = {
    "content-security-policy": "default-src 'none'; sandbox",
    "x-content-type-options": "nosniff",
    "cache-control": "private, no-store",
}


def routes(place: Place) -> APIRouter:
    """Pictures and downloads.

    Gives: 404 for what is not in a case of the agent's department, and for a picture that cannot be made;
           403 for a file that the scanner found infected.
    """
    router = APIRouter()

    @router.get("/cases/{conversation}/contacts/{contact}/pictures/{which}/{page}.jpg")
    async def picture(request: Request, conversation: UUID, contact: UUID, which: str, page: int) -> Response:
        _, claim, _ = await _find(place, request, conversation, contact, which)
        try:
            content = await place.blobs.get(claim)
            made = await place.pictures.page(content, claim.sha256, claim.media_type, page)
        except (Rejected, Poison) as error:
            raise HTTPException(404) from error
        return Response(made.jpeg, media_type="image/jpeg", headers={"cache-control": "private, max-age=3600"})

    @router.get("/cases/{conversation}/contacts/{contact}/files/{which}")
    async def download(request: Request, conversation: UUID, contact: UUID, which: str) -> Response:
        _, claim, name = await _find(place, request, conversation, contact, which)
        try:
            content = await place.blobs.get(claim)
        except Poison as error:
            raise HTTPException(404) from error
        disposition = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
        headers = _HEADERS | {"content-disposition": disposition}
        return Response(content, media_type=claim.media_type, headers=headers)

    _ = picture, download
    return router


async def _find(
    place: Place, request: Request, conversation: UUID, contact: UUID, which: str
) -> tuple[ContactReceived, ClaimCheck, str]:
    """The claim check of a contact's original, whole text or attachment, and the name it is downloaded under."""
    session = place.session(request)
    async with place.cases.database.begin() as connection:
        case = await case_of(connection, str(conversation))
        opened = await contacts_of(connection, str(conversation)) if may_see(case, session) else ()
    found = next((o.contact for o in opened if o.contact.contact_id == str(contact)), None)
    if found is None:
        raise HTTPException(404)
    claim, name = _claim(found, which)
    if claim.scan == "infected":
        raise HTTPException(403)
    return found, claim, name


def _claim(contact: ContactReceived, which: str) -> tuple[ClaimCheck, str]:
    if which == "original":
        return contact.original, file_name(contact.reference, contact.original)
    if which == "text" and contact.text_overflow:
        return contact.text_overflow, f"{contact.reference}-texte.txt"
    if which.isascii() and which.isdigit() and len(which) < 4 and int(which) < len(contact.attachments):
        number = int(which)
        claim = contact.attachments[number]
        names = contact.personal.file_names
        named = names[number] if number < len(names) else ""
        return claim, named or file_name(f"{contact.reference}-{number + 1}", claim)
    raise HTTPException(404)
