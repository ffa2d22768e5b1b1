"""Models the JSON answer of a search, so that OpenAPI describes it."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from parvis.desk.api.json_bodies import ApiModel
from parvis.desk.store.search_queries import SearchResult


class FoundMessageSummary(ApiModel):
    message_id: UUID
    conversation_id: UUID
    kind: Literal["contact", "reply", "note"]
    at: datetime


class FoundPersonSummary(ApiModel):
    sender: str = Field(description="telephone number, mail address or folded name")
    cases: int
    last_at: datetime


class SearchAnswer(ApiModel):
    """One page of what a search finds. The numbers are null above a thousand messages."""

    messages: list[FoundMessageSummary]
    people: list[FoundPersonSummary]
    references: list[UUID] = Field(description="cases whose reference has the typed part")
    message_count: int | None
    case_count: int | None
    person_count: int | None
    after: str | None = Field(description="cursor of the next page, for the parameter `after`; null at the end")


def search_answer(result: SearchResult, after: str | None) -> SearchAnswer:
    return SearchAnswer(
        messages=[
            FoundMessageSummary.model_validate(
                {"message_id": hit.entry_id, "conversation_id": hit.conversation_id, "kind": hit.kind, "at": hit.at}
            )
            for hit in result.hits
        ],
        people=[
            FoundPersonSummary(sender=person.sender, cases=person.cases, last_at=person.latest.at)
            for person in result.people
        ],
        references=[UUID(conversation) for conversation in result.references],
        message_count=result.messages,
        case_count=result.cases,
        person_count=result.senders,
        after=after,
    )
