"""Tests on a filled table that a search looks terms up in the index, whatever it searches, and never reads the table from end to end."""

from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.storage.postgres import Database
from parvis.desk.decide.search_query import parse_search
from parvis.desk.models.accounts import HiddenCases
from parvis.desk.store.search_queries import search_messages
from parvis.desk.store.single_case_queries import find_reference

pytestmark = pytest.mark.asyncio(loop_scope="module")
_FILL = """
insert into desk.search_entry (entry_id, conversation_id, kind, department, sender, at, terms)
select gen_random_uuid(), gen_random_uuid(), 'contact', 'voirie', '+3363998' || n, at,
       array_to_tsvector(array['d:voirie', 'trottoir', case when n % 5000 = 0 then 'giraf' else 'trou' end, 'n:camill', 'r:' || (n % 1000),
           'p:' || reverse('336' || n), 'week:' || floor(extract(epoch from at) / 604800)::int, 'period:' || floor(extract(epoch from at) / 9676800)::int])
from (select n, timestamptz '2026-11-01' - n * interval '1 hour' as at from generate_series(1, 20000) n) numbered
"""
_CASES = """
insert into desk.case_file (conversation_id, reference, department, received_at, answer_due_at, changed_at, state, taken_by)
select gen_random_uuid(), 'P-' || n, 'voirie', now(), now(), now(), case when n % 50 = 0 then 'open' else 'closed' end, 'A' || n % 7
from generate_series(1, 20000) n
"""


class Explained:
    """A connection that explains every statement before it runs it."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection, self.plans = connection, list[str]()

    async def execute(self, statement: Any, parameters: Any = None) -> Any:
        compiled = statement.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": parameters is None})
        if parameters is None:
            rows = await self._connection.exec_driver_sql(f"explain {compiled}".replace("%%", "%"))
            self.plans.append("\n".join(rows.scalars()))
        return await self._connection.execute(statement, parameters)

    async def scalars(self, statement: Any) -> Any:
        return (await self.execute(statement)).scalars()

    async def scalar(self, statement: Any) -> Any:
        return (await self.execute(statement)).scalar()


@pytest.mark.parametrize("hidden", [HiddenCases(), HiddenCases(procedures=("school-meals",))])
async def test_no_search_reads_the_whole_table(database: Database, hidden: HiddenCases) -> None:
    async with database.transaction() as connection:
        await connection.execute(text(_FILL))
        await connection.execute(text(_CASES))
        await connection.execute(text("analyze desk.search_entry, desk.case_file"))
    for typed in ("girafe", "trottoir", "camille trottoir", "7F3K", "06 39 98 00 01", "trottoir girafe", "zzz"):
        async with database.transaction() as connection:
            explained: Any = Explained(connection)
            await search_messages(explained, parse_search(typed), ["voirie"], hidden=hidden)
        searches = [plan for plan in explained.plans if "terms @@" in plan]
        assert searches
        assert all("Bitmap Index Scan on search_entry_terms" in plan for plan in searches), searches
        assert not [plan for plan in explained.plans if "Seq Scan" in plan], explained.plans


async def test_a_reference_is_two_look_ups(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(text(_CASES))
        await connection.execute(text("analyze desk.case_file"))
    async with database.transaction() as connection:
        explained: Any = Explained(connection)
        await find_reference(explained, "voirie", "P-77")
    (plan,) = explained.plans
    assert "Seq Scan" not in plan, plan
