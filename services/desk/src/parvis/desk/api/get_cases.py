"""Serves the queue and single cases to programs. Read-only."""

from typing import Annotated
from uuid import UUID

from fastapi import FastAPI, HTTPException, Query, Request, Response

from parvis.desk.api.dependencies import ApiDependencies, read_case_detail
from parvis.desk.api.json_bodies import CaseDetail, CaseList, Department, case_summary
from parvis.desk.api.search_bodies import SearchAnswer, search_answer
from parvis.desk.decide.access_rights import hidden_cases
from parvis.desk.decide.search_query import MAX_QUERY_LENGTH, parse_search
from parvis.desk.models.case import NO_DATE, Agent, State
from parvis.desk.models.queue import QueueFilter
from parvis.desk.render.view_models import decode_cursor, encode_cursor, search_cursor
from parvis.desk.store.queue_queries import QueueReader
from parvis.desk.store.search_queries import search_messages


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
            reader = QueueReader(
                Agent("", department),
                NO_DATE,
                hidden_cases(request.state.program, access.rules.confidential, department),
            )
            page = await reader.read(connection, QueueFilter(state), after=cursor, limit=limit)
        next_cursor = encode_cursor(page.after) if page.after else None
        return CaseList(cases=[case_summary(row.case) for row in page.rows], after=next_cursor)

    @app.get("/search", dependencies=[access.allow("queue.read")])
    async def search(
        request: Request,
        department: Department,
        q: Annotated[
            str, Query(max_length=MAX_QUERY_LENGTH, description="words, a name, a number, part of a reference")
        ],
        after: str | None = None,
    ) -> SearchAnswer:
        """The messages of a department that match, newest first, with the people and the cases of a reference on the first page."""
        if access.town_config.department(department) is None:
            raise HTTPException(404, "no such department")
        async with access.cases.database.transaction() as connection:
            hidden = hidden_cases(request.state.program, access.rules.confidential, department)
            result = await search_messages(connection, parse_search(q), [department], search_cursor(after), hidden)
        return search_answer(result, encode_cursor(result.after) if result.after else None)

    @app.get("/cases/{conversation_id}", dependencies=[access.allow("case.read")])
    async def get_case(conversation_id: UUID, department: Department, response: Response) -> CaseDetail:
        """One case with its contacts, replies and deliveries; its version is the ETag."""
        detail = await read_case_detail(access, conversation_id, department)
        response.headers["etag"] = f'"{detail.version}"'
        return detail

    _ = list_cases, search, get_case
