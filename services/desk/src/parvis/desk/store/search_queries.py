"""Searches messages and people in the search index, newest first, always by index look-ups that end after a thousand rows."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import RowMapping, func, literal, select, text, tuple_
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
from parvis.desk.schema.case_tables import contact, search_entry

MAX_COUNT = 1000  # more are counted as « 1 000+ »
MESSAGES_PER_PAGE = 25
MAX_PEOPLE = 5
_MAX_REFERENCES = 20
_PER_PERIOD = DAYS_OF_PERIOD["period"] // DAYS_OF_PERIOD["week"]

SearchCursor = tuple[datetime, str]


@dataclass(frozen=True)
class MessageHit:
    """A message that was found."""

    entry_id: str
    conversation_id: str
    kind: str
    sender: str
    at: datetime


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
    connection: AsyncConnection, parsed: ParsedSearch, departments: Sequence[str], after: SearchCursor | None = None
) -> SearchResult:
    """Search the messages, people and references of these departments."""
    references = people = ()
    if after is None:
        references = await _find_references(connection, parsed, departments)
    if parsed.is_empty:
        return SearchResult(references=references)
    stems = await _read_stems(connection, parsed)
    query = build_word_query(parsed, stems, departments)
    found = await _probe(connection, query)
    is_all = len(found) <= MAX_COUNT
    if is_all:
        page = [hit for hit in _newest_first(found) if after is None or (hit.at, hit.entry_id) < after]
        page = page[: MESSAGES_PER_PAGE + 1]
    else:
        page = await _walk(connection, query, after, MESSAGES_PER_PAGE + 1)
    if after is None:
        people = await _find_people(connection, build_person_query(parsed, departments))
    last = page[MESSAGES_PER_PAGE - 1] if len(page) > MESSAGES_PER_PAGE else None
    return SearchResult(
        stems=frozenset(stem for word in stems.values() for stem in word.found),
        hits=tuple(page[:MESSAGES_PER_PAGE]),
        people=people,
        references=references,
        messages=len(found) if is_all else None,
        cases=len({hit.conversation_id for hit in found}) if is_all else None,
        senders=len({hit.sender for hit in found} - {""}) if is_all else None,
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
    connection: AsyncConnection, parsed: ParsedSearch, departments: Sequence[str]
) -> tuple[str, ...]:
    """The conversations with a reference that has the typed part, their own or that of a later contact."""
    if not parsed.reference_part:
        return ()
    entries = await _probe(connection, build_reference_query(parsed.reference_part, departments))
    query = select(contact.c.contact_id).where(
        contact.c.contact_id.in_([entry.entry_id for entry in entries]),
        func.replace(contact.c.reference, "-", "").contains(parsed.reference_part, autoescape=True),
    )
    matching = set(await connection.scalars(query))
    found = (hit.conversation_id for hit in _newest_first(entries) if hit.entry_id in matching)
    return tuple(dict.fromkeys(found))[:_MAX_REFERENCES]


async def _find_people(connection: AsyncConnection, query: str) -> tuple[PersonHit, ...]:
    """The people whose name or address matches, those who wrote last first."""
    found = _newest_first(await _probe(connection, query))
    if len(found) > MAX_COUNT:
        found = await _walk(connection, query, None, MAX_COUNT)
    latest: dict[str, MessageHit] = {}
    cases: dict[str, set[str]] = {}
    for hit in found:
        if hit.sender:
            latest.setdefault(hit.sender, hit)
            cases.setdefault(hit.sender, set()).add(hit.conversation_id)
    shown = list(latest)[:MAX_PEOPLE]
    return tuple(PersonHit(sender, len(cases[sender]), latest[sender]) for sender in shown)


async def _walk(connection: AsyncConnection, query: str, after: SearchCursor | None, wanted: int) -> list[MessageHit]:
    """The newest matches, where there are many: week by week back in time, in steps of one period where matches are few."""
    found: list[MessageHit] = []
    async for term in _periods(connection, query, after):
        narrowed = f"{query} & '{term}'"
        hits = await _probe(connection, narrowed)
        if len(hits) > MAX_COUNT:  # only in a single week
            hits = await _newest_of_week(connection, narrowed, after, wanted - len(found))
        found += [hit for hit in _newest_first(hits) if after is None or (hit.at, hit.entry_id) < after]
        if len(found) >= wanted:
            break
    return found[:wanted]


async def _periods(connection: AsyncConnection, query: str, after: SearchCursor | None) -> AsyncGenerator[str]:
    """Terms of time, newest first; a period with too many matches is given week by week."""
    first, last = (await connection.execute(select(func.min(search_entry.c.at), func.max(search_entry.c.at)))).one()
    last = min(last, after[0]) if after else last
    for period in range(number_of_period("period", last), number_of_period("period", first) - 1, -1):
        term = time_term("period", period)
        if len(await _probe(connection, f"{query} & '{term}'")) <= MAX_COUNT:
            yield term
            continue
        newest = min(number_of_period("week", last), (period + 1) * _PER_PERIOD - 1)
        for week in range(newest, period * _PER_PERIOD - 1, -1):
            yield time_term("week", week)


async def _newest_of_week(
    connection: AsyncConnection, query: str, after: SearchCursor | None, wanted: int
) -> list[MessageHit]:
    key = (search_entry.c.at, search_entry.c.entry_id)
    statement = _matching(query).order_by(key[0].desc(), key[1].desc()).limit(wanted)
    if after:
        statement = statement.where(tuple_(*key) < after)
    return [_hit(row) for row in (await connection.execute(statement)).mappings()]


async def _probe(connection: AsyncConnection, query: str) -> list[MessageHit]:
    """The matches, in no order; not all of them if there are more than MAX_COUNT."""
    rows = await connection.execute(_matching(query).limit(MAX_COUNT + 1))
    return [_hit(row) for row in rows.mappings()]


def _matching(query: str):
    columns = [column for column in search_entry.columns if column.name not in ("terms", "department")]
    return select(*columns).where(search_entry.c.terms.bool_op("@@")(literal(query).cast(TSQUERY)))


def _hit(row: RowMapping) -> MessageHit:
    return MessageHit(**row)


def _newest_first(hits: Sequence[MessageHit]) -> list[MessageHit]:
    return sorted(hits, key=lambda hit: (hit.at, hit.entry_id), reverse=True)
