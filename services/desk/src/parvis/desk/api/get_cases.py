"""A program looks at the queue and at cases; nothing changes here."""

from typing import Annotated
from uuid import UUID

from fastapi import FastAPI, HTTPException, Query

from parvis.desk.api.dependencies import Access, detail_of
from parvis.desk.api.response_models import CaseDetail, CaseList, Department, summary
from parvis.desk.models.case import Agent, State
from parvis.desk.render.view_models import read_key, write_key
from parvis.desk.store.case_queries import queue


def routes(app: FastAPI, access: Access) -> None:
    @app.get("/cases")
    async def list_cases(
        department: Department,
        state: State = "open",
        after: str | None = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> CaseList:
        """The cases of a department in one state, most urgent first; waiting and closed ones by their last change."""
        if access.town_config.department(department) is None:
            raise HTTPException(404, "no such department")
        async with access.cases.database.transaction() as connection:
            found = await queue(connection, Agent("", department), state, after=read_key(after), limit=limit)
        rest = write_key(found.after) if found.after else None
        return CaseList(cases=[summary(row.case) for row in found.rows], after=rest)

    @app.get("/cases/{conversation_id}")
    async def get_case(conversation_id: UUID, department: Department) -> CaseDetail:
        """One case with its contacts, replies and deliveries."""
        return await detail_of(access, conversation_id, department)

    _ = list_cases, get_case
