"""Serves a department's cases as one CSV or JSON file to programs."""

from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.runtime.clock import now
from parvis.desk.api.dependencies import ApiDependencies
from parvis.desk.api.json_bodies import Department
from parvis.desk.decide.access_rights import hidden_cases, may
from parvis.desk.models.accounts import CaseAccessFacts
from parvis.desk.models.case import NO_DATE, Agent, State
from parvis.desk.models.queue import EVERY_CASE, QueueFilter
from parvis.desk.render.case_export import NO_LABELS
from parvis.desk.store.case_exports import MEDIA_TYPES, CaseExport, ExportFormat
from parvis.desk.store.queue_queries import QueueReader
from parvis.desk.verify.agent_sessions import bearer_token

_CONTENT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A row for each case, as it is read; the connection is cut if the right ends meanwhile.",
        "content": {
            "text/csv": {"schema": {"type": "string"}},
            "application/json": {"schema": {"type": "array", "items": {"type": "object"}}},
        },
    }
}


def routes(app: FastAPI, access: ApiDependencies) -> None:
    @app.get(
        "/export", dependencies=[access.allow("queue.export")], responses=_CONTENT, response_class=StreamingResponse
    )
    async def export_cases(
        request: Request,
        department: Department,
        state: State | None = None,
        form: Annotated[ExportFormat, Query(alias="format")] = "csv",
    ) -> Response:
        """All cases of a department, or those in one state, in the order in which they were opened."""
        if access.town_config.department(department) is None:
            raise HTTPException(404, "no such department")
        hidden = hidden_cases(request.state.program, access.rules.confidential, department)

        async def is_allowed(connection: AsyncConnection) -> bool:
            program = await access.find_program(connection, bearer_token(request))
            return program is not None and may(program, "queue.export", CaseAccessFacts(department))

        export = CaseExport(
            access.cases.database,
            QueueReader(Agent("", department), NO_DATE, hidden),
            QueueFilter(state or EVERY_CASE),
            ZoneInfo(access.town_config.town.time_zone),
            is_allowed,
            NO_LABELS,
        )
        return StreamingResponse(export.text(form), media_type=MEDIA_TYPES[form], headers=export.headers(form, now()))

    _ = export_cases
