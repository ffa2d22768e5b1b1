"""Handles the files of an answer on a case's page: attached with any button, removed, and downloaded again."""

from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from parvis.common.contract.errors import Rejected
from parvis.desk.decide.access_rights import may
from parvis.desk.fetch.claim_checks import MissingFile
from parvis.desk.models.outgoing_file import OutgoingFile
from parvis.desk.pages.dependencies import DeskDependencies, redirect
from parvis.desk.pages.form_fields import one_time_seed
from parvis.desk.pages.original_files import DOWNLOAD_HEADERS
from parvis.desk.store.draft_files import is_own_case, read_draft_files, read_reply_files
from parvis.desk.verify.agent_sessions import AgentSession
from parvis.web.form_parsing import SubmittedForm

FIELD, CHOSEN = "files", "file"  # the file input, and the hidden fields with the ids of the files that the page shows


def routes(dependencies: DeskDependencies) -> APIRouter:
    """The download of a file of one's own draft, or of an answer of the case; 404 for any other."""
    router = APIRouter()

    @router.get("/cases/{conversation}/attachments/{file_id}", dependencies=[dependencies.access.allow("file.read")])
    async def download(request: Request, conversation: UUID, file_id: UUID) -> Response:
        session = dependencies.require_session(request)
        file = await _find_file(dependencies, session, str(conversation), str(file_id))
        content = await dependencies.claim_checks.fetch(file.claim)
        disposition = f"attachment; filename*=UTF-8''{quote(file.name, safe='')}"
        headers = DOWNLOAD_HEADERS | {"content-disposition": disposition}
        return Response(content, media_type=file.claim.media_type, headers=headers)

    _ = download
    return router


async def keep_files(
    dependencies: DeskDependencies, session: AgentSession, conversation: str, form: SubmittedForm
) -> None:
    """Attach the files that the form brings to the agent's draft, whatever its button is; their ids join those that it shows.

    Raises: Rejected, with the key of its sentence; Unavailable.
    """
    shown = list(form.fields.get(CHOSEN, ()))
    uploads = form.files.get(FIELD, ())
    if form.is_too_heavy:
        raise Rejected("files_too_large")
    if form.has_no_room:
        raise Rejected("files_no_room")
    if not uploads or not may(session.user, "case.reply", session.case):
        return
    if not all(upload.is_whole for upload in uploads):
        raise Rejected("file_too_large")
    seed = one_time_seed(dependencies, session, form)
    add = dependencies.outgoing_files.add
    for upload in uploads:
        content = await upload.content()
        shown.append(
            await add(
                conversation, session.agent, name=upload.name, content=content, seed=seed, at=dependencies.clock()
            )
        )
    form.fields[CHOSEN] = shown


async def _attach(_: DeskDependencies, __: AgentSession, conversation: str, form: SubmittedForm) -> Response:
    """The files are kept already, as with every button."""
    return redirect(f"/cases/{conversation}{'?notice=attached' if form.files.get(FIELD) else ''}#reply-files")


async def _remove(
    dependencies: DeskDependencies, session: AgentSession, conversation: str, form: SubmittedForm
) -> Response:
    if _is_uuid(form.first("remove")):
        await dependencies.outgoing_files.remove(conversation, session.agent, form.first("remove"))
    return redirect(f"/cases/{conversation}?notice=file_removed#reply-files")


async def _find_file(
    dependencies: DeskDependencies, session: AgentSession, conversation: str, file_id: str
) -> OutgoingFile:
    async with dependencies.cases.database.transaction() as connection:
        if not await is_own_case(connection, conversation, session.agent):
            raise HTTPException(404)
        drafted = await read_draft_files(connection, conversation, session.agent)
        sent = await read_reply_files(connection, conversation)
    files = {file.file_id: file for file in (*drafted, *(file for files in sent.values() for file in files))}
    if file_id not in files:
        raise MissingFile("missing")
    return files[file_id]


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


REQUESTS = {"attach": _attach, "remove-file": _remove}
