"""Searches messages and people in the search index, newest first, always by index look-ups that end after a thousand rows."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import ColumnElement, distinct, exists, func, literal, select, text, tuple_
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.desk.decide.search_query import (
    ParsedSearch,
    Stems,
    build_person_query,
    build_reference_query,
    build_word_query,
)
from parvis.desk.decide.search_terms import DAYS_OF_PERIOD, fold_word, number_of_period, split_words, time_term
from parvis.desk.models.accounts import HiddenCases
from parvis.desk.models.queue import MAX_COUNT
from parvis.desk.schema.case_tables import case_file, contact, search_entry
from parvis.desk.store.hidden_cases import NOTHING_HIDDEN, is_shown

MESSAGES_PER_PAGE = 25
MAX_PEOPLE = 5
_MAX_REFERENCES = 20
_MAX_PEOPLE_MESSAGES = 200
_WEEKS_OF_PERIOD = DAYS_OF_PERIOD["period"] // DAYS_OF_PERIOD["week"]

SearchCursor = tuple[datetime, str]


@dataclass(frozen=True)
class IndexQuery:
    """The terms of the messages that are wanted, as a tsquery, and the cases whose messages are not."""

    terms: str
    hidden: HiddenCases = NOTHING_HIDDEN

    def at(self, time: str) -> "IndexQuery":
        """The same at the time of a term."""
        return replace(self, terms=f"{self.terms} & '{time}'")

    def conditions(self) -> list[ColumnElement[bool]]:
        matches = search_entry.c.terms.bool_op("@@")(literal(self.terms).cast(TSQUERY))
        shown = is_shown(self.hidden)
        is_of_case = case_file.c.conversation_id == search_entry.c.conversation_id
        return [matches, exists().where(is_of_case, *shown)] if shown else [matches]


@dataclass(frozen=True)
class MessageHit:
    """A message that was found."""

    entry_id: str
    conversation_id: str
    kind: str
    sender: str
    at: datetime


@dataclass(frozen=True)
class MatchCounts:
    """The numbers of messages that match, of their cases and senders; at most MAX_COUNT and one more messages are looked at."""

    messages: int
    cases: int
    senders: int

    @property
    def is_capped(self) -> bool:
        return self.messages > MAX_COUNT


@dataclass(frozen=True)
class PersonHit:
    """A person whose name or address was found, with their latest message."""

    sender: str
    cases: int
    latest: MessageHit


@dataclass(frozen=True)
class SearchResult:
    """What was found: one page of messages, newest first, and on the first page people and references too.

    Gives: messages, cases, senders: the numbers of all that was found, None above a thousand messages; after, the cursor of the next page.
    """

    stems: frozenset[str] = frozenset()
    hits: tuple[MessageHit, ...] = ()
    people: tuple[PersonHit, ...] = ()
    references: tuple[str, ...] = ()  # conversations
    messages: int | None = 0
    cases: int | None = 0
    senders: int | None = 0
    after: SearchCursor | None = None


async def search_messages(
    connection: AsyncConnection,
    parsed: ParsedSearch,
    departments: Sequence[str],
    after: SearchCursor | None = None,
    hidden: HiddenCases = NOTHING_HIDDEN,
) -> SearchResult:
    """Search the messages, people and references of these departments, without those of hidden cases."""
    references = people = ()
    if after is None:
        references = await _find_references(connection, parsed, departments, hidden)
    if parsed.is_empty:
        return SearchResult(references=references)
    stems = await _read_stems(connection, parsed)
    query = IndexQuery(build_word_query(parsed, stems, departments), hidden)
    counts = await _count(connection, query)
    page = await _read_newest(connection, query, counts, after, MESSAGES_PER_PAGE + 1)
    if after is None:
        people = await _find_people(connection, IndexQuery(build_person_query(parsed, departments), hidden))
    last = page[MESSAGES_PER_PAGE - 1] if len(page) > MESSAGES_PER_PAGE else None
    return SearchResult(
        stems=frozenset(stem for word in stems.values() for stem in word.found),
        hits=tuple(page[:MESSAGES_PER_PAGE]),
        people=people,
        references=references,
        messages=None if counts.is_capped else counts.messages,
        cases=None if counts.is_capped else counts.cases,
        senders=None if counts.is_capped else counts.senders,
        after=(last.at, last.entry_id) if last else None,
    )


async def _read_stems(connection: AsyncConnection, parsed: ParsedSearch) -> dict[str, Stems]:
    """The stems of all words, by PostgreSQL's own stemmers, as the index has them."""
    words = list(dict.fromkeys([*parsed.words, *(w for typed, _ in parsed.numbers for w in split_words(typed))]))
    query = text(
        """
        select word, ts_lexize('pg_catalog.french_stem', word) as french,
               ts_lexize('pg_catalog.french_stem', folded) as folded, ts_lexize('pg_catalog.english_stem', folded) as english
        from unnest(cast(:words as text[]), cast(:folded as text[])) as typed (word, folded)
        """
    )
    rows = await connection.execute(query, {"words": words, "folded": [fold_word(word) for word in words]})
    return {
        row["word"]: Stems(*(next(iter(row[name]), None) for name in ("french", "folded", "english")))
        for row in rows.mappings()
    }


async def _find_references(
    connection: AsyncConnection, parsed: ParsedSearch, departments: Sequence[str], hidden: HiddenCases
) -> tuple[str, ...]:
    """The conversations with a reference that has the typed part, their own or that of a later contact."""
    if not parsed.reference_part:
        return ()
    wanted = IndexQuery(build_reference_query(parsed.reference_part, departments), hidden)
    entries = await _sorted(connection, wanted, None, MAX_COUNT)
    query = select(contact.c.contact_id).where(
        contact.c.contact_id.in_([entry.entry_id for entry in entries]),
        func.replace(contact.c.reference, "-", "").contains(parsed.reference_part, autoescape=True),
    )
    matching = set(await connection.scalars(query))
    found = (hit.conversation_id for hit in entries if hit.entry_id in matching)
    return tuple(dict.fromkeys(found))[:_MAX_REFERENCES]


async def _find_people(connection: AsyncConnection, query: IndexQuery) -> tuple[PersonHit, ...]:
    """The people whose name or address matches, those who wrote last first."""
    found = await _read_newest(connection, query, await _count(connection, query), None, _MAX_PEOPLE_MESSAGES)
    latest: dict[str, MessageHit] = {}
    cases: dict[str, set[str]] = {}
    for hit in found:
        if hit.sender:
            latest.setdefault(hit.sender, hit)
            cases.setdefault(hit.sender, set()).add(hit.conversation_id)
    shown = list(latest)[:MAX_PEOPLE]
    return tuple(PersonHit(sender, len(cases[sender]), latest[sender]) for sender in shown)


async def _read_newest(
    connection: AsyncConnection, query: IndexQuery, counts: MatchCounts, after: SearchCursor | None, wanted: int
) -> list[MessageHit]:
    """The newest matches; where there are many, week by week back in time, so that PostgreSQL never sorts all of them."""
    if not counts.is_capped:
        return await _sorted(connection, query, after, wanted)
    found: list[MessageHit] = []
    async for term in _times(connection, query, after):
        found += await _sorted(connection, query.at(term), after, wanted - len(found))
        if len(found) >= wanted:
            break
    return found


async def _times(connection: AsyncConnection, query: IndexQuery, after: SearchCursor | None) -> AsyncGenerator[str]:
    """Terms of time, newest first: periods of 16 weeks, and the single weeks of those with too many matches."""
    first, last = (await connection.execute(select(func.min(search_entry.c.at), func.max(search_entry.c.at)))).one()
    last = min(last, after[0]) if after else last
    for period in range(number_of_period("period", last), number_of_period("period", first) - 1, -1):
        term = time_term("period", period)
        if not (await _count(connection, query.at(term))).is_capped:
            yield term
            continue
        newest = min(number_of_period("week", last), (period + 1) * _WEEKS_OF_PERIOD - 1)
        for week in range(newest, period * _WEEKS_OF_PERIOD - 1, -1):
            yield time_term("week", week)


async def _count(connection: AsyncConnection, query: IndexQuery) -> MatchCounts:
    """The numbers of matching messages, of their cases and senders; capped above MAX_COUNT."""
    found = (
        select(search_entry.c.conversation_id, search_entry.c.sender)
        .where(*query.conditions())
        .limit(MAX_COUNT + 1)
        .subquery()
    )
    senders = func.count(distinct(found.c.sender)).filter(found.c.sender != "")
    counts = select(func.count(), func.count(distinct(found.c.conversation_id)), senders).select_from(found)
    return MatchCounts(*(await connection.execute(counts)).one())


async def _sorted(
    connection: AsyncConnection, query: IndexQuery, after: SearchCursor | None, wanted: int
) -> list[MessageHit]:
    """The newest matches, sorted by PostgreSQL."""
    columns = [column for column in search_entry.columns if column.name not in ("terms", "department")]
    key = (search_entry.c.at, search_entry.c.entry_id)
    statement = select(*columns).where(*query.conditions()).order_by(key[0].desc(), key[1].desc()).limit(wanted)
    if after:
        statement = statement.where(tuple_(*key) < after)
    return [MessageHit(**row) for row in (await connection.execute(statement)).mappings()]
