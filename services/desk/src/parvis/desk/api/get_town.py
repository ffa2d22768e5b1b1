"""Serves where the cases of the whole town stand to programs: states and dates, no names and no texts."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from fastapi import FastAPI, HTTPException, Query, Request
from pydantic import Field

from parvis.desk.api.dependencies import ApiDependencies
from parvis.desk.api.json_bodies import ApiModel, Department
from parvis.desk.decide.access_rights import hidden_by_department
from parvis.desk.models.case import NO_DATE, State
from parvis.desk.models.town_list import TownCase, TownFilter
from parvis.desk.render.view_models import encode_cursor, search_cursor
from parvis.desk.store.town_list import read_town_page


class TownCaseSummary(ApiModel):
    """Where one case stands."""

    conversation_id: UUID
    reference: str
    department: str
    state: State
    channel: str
    received_at: datetime
    answer_due_at: datetime | None
    is_taken: bool = Field(description="an agent deals with it")


class TownList(ApiModel):
    cases: list[TownCaseSummary]
    after: str | None = Field(description="cursor of the next page, for the parameter `after`; null at the end")


def routes(app: FastAPI, access: ApiDependencies) -> None:
    @app.get("/town", dependencies=[access.allow("town.read")])
    async def list_town(
        request: Request,
        department: Department,
        of: Annotated[str, Query(max_length=100, description="only cases of this department")] = "",
        state: State = "open",
        day: Annotated[date | None, Query(description="only cases that came on this day")] = None,
        after: str | None = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> TownList:
        """The cases of the whole town in one state, the latest first; confidential ones only for who may read them."""
        departments = access.town_config.departments
        if department not in departments or (of and of not in departments):
            raise HTTPException(404, "no such department")
        cursor = search_cursor(after)
        if after and cursor is None:
            raise HTTPException(422, "query.after: not a cursor of this list")
        wanted, zone = TownFilter(state, of, day), access.town_config.town.time_zone
        hidden = hidden_by_department(request.state.program, access.rules.confidential, departments)
        async with access.cases.database.transaction() as connection:
            page = await read_town_page(connection, wanted, hidden, after=cursor, limit=limit, zone=zone)
        return TownList(
            cases=[_summary(case) for case in page.cases], after=encode_cursor(page.after) if page.after else None
        )

    _ = list_town


def _summary(case: TownCase) -> TownCaseSummary:
    due = case.answer_due_at if case.answer_due_at < NO_DATE else None
    return TownCaseSummary.model_validate(case.__dict__ | {"answer_due_at": due})
