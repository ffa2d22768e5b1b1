"""Models the JSON bodies of the work on a case that no citizen sees."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query
from pydantic import Field

from parvis.desk.api.json_bodies import NOT_BLANK, ActionBody, ApiModel, CleanText, FileDetail
from parvis.desk.decide.text_correction import LONGEST_LETTER
from parvis.desk.models.case import State

AgentQuery = Annotated[str, Query(min_length=1, max_length=80, pattern=NOT_BLANK, description="name of the agent")]


class NoteBody(ActionBody):
    text: CleanText = Field(min_length=1, max_length=10_000)
    kind: Literal["note", "call"] = Field(default="note", description="an internal note, or the note of a call")


class SnoozeBody(ActionBody):
    until: date = Field(description="the case comes back on the morning of this day, or when its answer is due")


class AssignBody(ActionBody):
    colleague: CleanText = Field(max_length=80, description="name of the colleague")
    although_absent: bool = Field(default=False, description="assign it also to a colleague who is absent")


class ProcedureBody(ActionBody):
    procedure: CleanText = Field(max_length=60, description="procedure that the case is about; empty: none")


Tags = Annotated[list[Annotated[CleanText, Field(max_length=60)]], Field(max_length=20)]


class TagsBody(ActionBody):
    add: Tags = Field(default=[], description="tags to add: 2 to 31 letters, digits and hyphens each, a letter first")
    remove: Tags = Field(default=[], description="tags to remove")


class UrgencyBody(ActionBody):
    urgency: Literal["immediate", "high", "normal"]


class LetterTextBody(ActionBody):
    contact_id: UUID = Field(description="the letter")
    text: CleanText = Field(min_length=1, max_length=LONGEST_LETTER, description="what an agent reads on the picture")


class DraftBody(ActionBody):
    text: CleanText = Field(max_length=10_000)
    channel: Literal["", "sms", "email", "post"] = ""
    address: CleanText = Field(default="", max_length=1000)
    then: State = "waiting"


class DraftDetail(ApiModel):
    text: str = ""
    channel: str = ""
    then: State = "waiting"
    saved_at: datetime | None
    files: list[FileDetail] = Field(default=[], description="files attached to the draft")


class PreparedText(ApiModel):
    name: str
    title: str
    text: str
    then: State = Field(description="state of the case that the town proposes after this text")
