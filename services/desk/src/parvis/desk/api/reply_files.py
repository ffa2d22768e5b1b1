"""Serves the files of an answer to programs: kept with the agent's draft, listed, removed, and given again."""

import re
from typing import Any
from urllib.parse import quote
from uuid import UUID

from fastapi import FastAPI, HTTPException, Request, Response

from parvis.common.contract.errors import Rejected
from parvis.common.runtime.clock import now
from parvis.desk.api.act_on_case import refusal
from parvis.desk.api.dependencies import ApiDependencies, acting_agent, own_case, scoped_key
from parvis.desk.api.json_bodies import Department, FileDetail, IdempotencyKey
from parvis.desk.api.work_bodies import AgentQuery
from parvis.desk.fetch.claim_checks import InfectedFile, MissingFile, UnscannedFile
from parvis.desk.models.case import Agent
from parvis.desk.models.outgoing_file import MAX_FILE_BYTES, MAX_FILES, MAX_TOTAL_BYTES, OutgoingFile
from parvis.desk.store.draft_files import read_draft_files, read_reply_files
from parvis.web.form_parsing import SubmittedForm, read_form

_FILES = "/cases/{conversation_id}/files"
_FIELD = "files"
_PROBLEMS: dict[type[Exception], tuple[int, str]] = {
    InfectedFile: (409, "file_infected"), UnscannedFile: (503, "file_not_scanned"), MissingFile: (404, "no such file"),
}  # fmt: skip
_UPLOAD: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [_FIELD],
                    "properties": {
                        _FIELD: {"type": "array", "items": {"type": "string", "format": "binary"}, "minItems": 1}
                    },
                }
            }
        },
    }
}
LARGEST_UPLOAD_BYTES = MAX_TOTAL_BYTES + 64 * 1024
UPLOAD_PATH = re.compile(r"/cases/[^/]+/files$")


def routes(app: FastAPI, access: ApiDependencies) -> None:
    @app.post(_FILES, dependencies=[access.allow("case.reply")], openapi_extra=_UPLOAD)
    async def attach(
        request: Request,
        conversation_id: UUID,
        department: Department,
        agent: AgentQuery,
        key: IdempotencyKey = None,
    ) -> list[FileDetail]:
        """Attach files to the agent's draft, as the form field `files`: 10 files, 10 MB each, 20 MB in all.

        Gives the files of the draft, whose ids a reply names. 409 with the key of what is refused: `file_empty`,
        `file_too_large`, `files_too_large`, `files_too_many`, `file_kind`, `file_unreadable`, `file_infected`; 413 for a body
        beyond all limits, 503 `files_no_room` while too many are uploaded at once.
        """
        await own_case(access, conversation_id, department)
        who, seed = acting_agent(request, agent, department, ""), scoped_key(department, key)
        form = await read_form(
            request, largest_bytes=LARGEST_UPLOAD_BYTES, largest_file_bytes=MAX_FILE_BYTES, most_files=MAX_FILES
        )
        try:
            await _keep(access, str(conversation_id), who, form, seed)
        except Rejected as error:
            raise refusal(error) from error
        finally:
            await form.close()
        async with access.cases.database.transaction() as connection:
            return [FileDetail.of(file) for file in await read_draft_files(connection, str(conversation_id), who)]

    @app.delete(f"{_FILES}/{{file_id}}", status_code=204, dependencies=[access.allow("case.reply")])
    async def remove(
        request: Request, conversation_id: UUID, file_id: UUID, department: Department, agent: AgentQuery
    ) -> Response:
        """Remove a file from the agent's draft, and delete it. One that is not there changes nothing."""
        await own_case(access, conversation_id, department)
        who = acting_agent(request, agent, department, "")
        await access.outgoing_files.remove(str(conversation_id), who, str(file_id))
        return Response(status_code=204)

    @app.get(f"{_FILES}/{{file_id}}", dependencies=[access.allow("file.read")], response_class=Response)
    async def download(
        request: Request, conversation_id: UUID, file_id: UUID, department: Department, agent: AgentQuery
    ) -> Response:
        """A file of the agent's draft, or of an answer of the case; 503 while it is not scanned."""
        await own_case(access, conversation_id, department)
        who, conversation = acting_agent(request, agent, department, ""), str(conversation_id)
        async with access.cases.database.transaction() as connection:
            drafted = await read_draft_files(connection, conversation, who)
            sent = await read_reply_files(connection, conversation)
        known = {file.file_id: file for file in (*drafted, *(file for files in sent.values() for file in files))}
        if str(file_id) not in known:
            raise HTTPException(404, "no such file")
        return await _download(access, known[str(file_id)])

    _ = attach, remove, download


async def _keep(access: ApiDependencies, conversation: str, agent: Agent, form: SubmittedForm, seed: str) -> None:
    """Keep the files of the form with the agent's draft. Raises: Rejected, with the key of what is refused; Unavailable."""
    uploads = form.files.get(_FIELD, ())
    if form.is_too_heavy:
        raise Rejected("files_too_large")
    if form.has_no_room:
        raise HTTPException(503, "files_no_room", headers={"retry-after": "30"})
    if not uploads:
        raise Rejected("file_empty")
    if not all(upload.is_whole for upload in uploads):
        raise Rejected("file_too_large")
    for upload in uploads:
        content = await upload.content()
        await access.outgoing_files.add(conversation, agent, name=upload.name, content=content, seed=seed, at=now())


async def _download(access: ApiDependencies, file: OutgoingFile) -> Response:
    try:
        content = await access.claim_checks.fetch(file.claim)
    except (InfectedFile, UnscannedFile, MissingFile) as error:
        raise HTTPException(*_PROBLEMS[type(error)]) from error
    disposition = f"attachment; filename*=UTF-8''{quote(file.name, safe='')}"
    headers = {
        "content-disposition": disposition,
        "x-content-type-options": "nosniff",
        "cache-control": "private, no-store",
    }
    return Response(content, media_type=file.claim.media_type, headers=headers)
