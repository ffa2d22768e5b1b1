"""Serves the queue and single cases to programs. Read-only."""

from typing import Annotated
from uuid import UUID

from fastapi import FastAPI, HTTPException, Query, Request, Response

from parvis.desk.api.dependencies import ApiDependencies, read_case_detail
from parvis.desk.api.json_bodies import CaseDetail, CaseList, Department, case_summary
from parvis.desk.decide.access_rights import hidden_cases
from parvis.desk.models.case import Agent, State
from parvis.desk.render.view_models import decode_cursor, encode_cursor
from parvis.desk.store.case_queries import read_queue


def routes(app: FastAPI, access: ApiDependencies) -> None:
    @app.get("/cases", dependencies=[access.allow("queue.read")])
    async def list_cases(
        request: Request,
        department: Department,
        state: State = "open",
        after: str | None = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> CaseList:
        """The cases of a department in one state, most urgent first; waiting and closed ones by their last change."""
        if access.town_config.department(department) is None:
            raise HTTPException(404, "no such department")
        cursor = decode_cursor(after)
        if after and cursor is None:  # the first page again would be read for ever
            raise HTTPException(422, "query.after: not a cursor of this list")
        async with access.cases.database.transaction() as connection:
            page = await read_queue(
                connection,
                Agent("", department),
                state,
                after=cursor,
                limit=limit,
                hidden=hidden_cases(request.state.program, access.rules.confidential, department),
            )
        next_cursor = encode_cursor(page.after) if page.after else None
        return CaseList(cases=[case_summary(row.case) for row in page.rows], after=next_cursor)

    @app.get("/cases/{conversation_id}", dependencies=[access.allow("case.read")])
    async def get_case(conversation_id: UUID, department: Department, response: Response) -> CaseDetail:
        """One case with its contacts, replies and deliveries; its version is the ETag."""
        detail = await read_case_detail(access, conversation_id, department)
        response.headers["etag"] = f'"{detail.version}"'
        return detail

    _ = list_cases, get_case
