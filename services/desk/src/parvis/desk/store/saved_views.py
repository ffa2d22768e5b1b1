"""Stores the views that agents save for themselves."""

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.desk.models.case import Agent
from parvis.desk.models.queue import SavedView
from parvis.desk.schema.case_tables import saved_view

_MOST = 20


async def read_saved_views(connection: AsyncConnection, agent: Agent) -> tuple[SavedView, ...]:
    """The agent's own views, by name."""
    query = select(saved_view.c.name, saved_view.c.query).where(_is_own(agent)).order_by(saved_view.c.name).limit(_MOST)
    return tuple(SavedView(**row) for row in (await connection.execute(query)).mappings())


async def save_view(connection: AsyncConnection, agent: Agent, view: SavedView) -> None:
    """Save a view; one of the same name is replaced."""
    values = {"agent": agent.name, "department": agent.department, "name": view.name, "query": view.query}
    statement = insert(saved_view).values(values)
    keys = [column.name for column in saved_view.primary_key.columns]
    await connection.execute(statement.on_conflict_do_update(index_elements=keys, set_={"query": view.query}))


async def delete_view(connection: AsyncConnection, agent: Agent, name: str) -> None:
    await connection.execute(delete(saved_view).where(_is_own(agent), saved_view.c.name == name))


def _is_own(agent: Agent):
    return (saved_view.c.department == agent.department) & (saved_view.c.agent == agent.name)
