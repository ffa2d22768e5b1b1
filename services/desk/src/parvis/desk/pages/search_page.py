"""Shows what a search finds: people, and messages grouped by case, page by page."""

from collections.abc import Callable

from fastapi import APIRouter, Request
from fastapi.responses import Response

from parvis.common.contract.references import find_references
from parvis.desk.decide.access_rights import hidden_cases
from parvis.desk.decide.search_query import MAX_QUERY_LENGTH, ParsedSearch, parse_search, word_matcher
from parvis.desk.pages.dependencies import DeskDependencies, redirect
from parvis.desk.render.search_views import FoundMessage, FoundPerson, group_by_case, mark_passage
from parvis.desk.render.view_models import encode_cursor, search_cursor
from parvis.desk.store.search_hit_records import FoundRecords, read_found_records
from parvis.desk.store.search_queries import MessageHit, SearchResult, search_messages
from parvis.desk.store.single_case_queries import find_reference


def routes(dependencies: DeskDependencies) -> APIRouter:
    """The search page; a whole reference leads to its case."""
    router = APIRouter()

    @router.get("/search", dependencies=[dependencies.access.allow("queue.read")])
    async def search(request: Request) -> Response:
        session = dependencies.require_session(request)
        typed = request.query_params.get("q", "")[:MAX_QUERY_LENGTH]
        parsed, after = parse_search(typed), search_cursor(request.query_params.get("after"))
        department = session.agent.department
        hidden = hidden_cases(session.user, dependencies.access.rules.confidential, department)
        async with dependencies.cases.database.transaction() as connection:
            for reference in find_references(typed):
                if case := await find_reference(connection, department, reference):
                    return redirect(f"/cases/{case}")
            result = await search_messages(connection, parsed, [department], after, hidden)
            records = await read_found_records(connection, result)
        found = _messages(parsed, result, records)
        return dependencies.render_page(
            request, "search.html", session, q=parsed.text, result=result,
            people=[_person(hit.sender, hit.cases, hit.latest, records) for hit in result.people],
            groups=group_by_case(found, records.cases, result.references), is_first=after is None,
            after=encode_cursor(result.after) if result.after else None,
        )  # fmt: skip

    _ = search
    return router


def _messages(parsed: ParsedSearch, result: SearchResult, records: FoundRecords) -> list[tuple[str, FoundMessage]]:
    matches = word_matcher(parsed, result.stems)
    messages = ((hit.conversation_id, _message(hit, records, matches)) for hit in result.hits)
    return [(conversation, message) for conversation, message in messages if message]


def _message(hit: MessageHit, records: FoundRecords, matches: Callable[[str], bool]) -> FoundMessage | None:
    """A message that was found. None if its record cannot be read."""
    if opened := records.contacts.get(hit.entry_id):
        personal = opened.contact.personal
        texts = [personal.subject, personal.text, *personal.answers.values(), *personal.file_names]
        text, channel = " · ".join(" ".join(text.split()) for text in texts if text.strip()), opened.contact.channel
    elif reply := records.replies.get(hit.entry_id):
        text, channel = reply.text, reply.channel
    elif note := records.notes.get(hit.entry_id):
        text, channel = note.text, "phone"
    else:
        return None
    return FoundMessage(hit.kind, channel, hit.at, mark_passage(text, matches))


def _person(sender: str, cases: int, latest: MessageHit, records: FoundRecords) -> FoundPerson:
    opened = records.contacts.get(latest.entry_id)
    personal = opened.contact.personal if opened else None
    point = personal.from_.value if personal and personal.from_ else ""
    return FoundPerson(personal.display_name if personal else sender, point, cases, latest.at)
